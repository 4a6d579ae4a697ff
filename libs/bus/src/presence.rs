//! What realtime nodes tell each other about who is in which room, and about themselves. Delivered
//! at most once: after an interruption a node tells and asks everything again.

use futures::Stream;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use uuid::Uuid;

use crate::connection::Interruption;
use crate::{Bus, BusError, Room, subjects};

/// A member of a room on one node: one identity, however many sockets it has there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Whether it is a user; otherwise it is an anonymous socket.
    pub user: bool,
    /// The user's id, or the socket's.
    pub id: String,
    /// When its first socket joined there, in microseconds since 1970.
    pub since: i64,
}

/// What a node says about the members of a room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PresenceChange {
    /// The first socket of a member joined there. The id is that of the event that clients hear.
    Joined(Member, Uuid),
    /// The last socket of a member left.
    Left(Member, Uuid),
    /// Everybody who is there; more than fit into one message come in several.
    Members {
        /// The node that asked; `None` when all are told.
        to: Option<String>,
        /// The first of these messages.
        first: bool,
        /// The last of them.
        last: bool,
        /// A part of the members.
        members: Vec<Member>,
    },
}

/// A change, and the node that tells of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PresenceNews {
    /// The node.
    pub node: String,
    /// What it says.
    pub change: PresenceChange,
}

/// What a node says about itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PeerWord {
    /// It is there.
    Beat,
    /// It has just come, or come back, and wants to hear who else is there.
    Hello,
    /// It stops, and will answer nothing any more; its members may come back to other nodes.
    Bye,
    /// It wants to know who is in a room. Every node answers, also with nobody.
    Asks {
        /// The id of the room's project.
        project: String,
        /// The room's channel.
        channel: String,
    },
}

/// A word, and the node that says it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerNews {
    /// The node.
    pub node: String,
    /// What it says.
    pub word: PeerWord,
}

/// Hears when messages may have been missed.
#[derive(Debug)]
pub struct Interruptions(watch::Receiver<Interruption>);

impl Interruptions {
    /// Waits for the next time; for ever once the bus is closed.
    pub async fn next(&mut self) {
        if self.0.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl Bus {
    /// Tells the other nodes about a room.
    ///
    /// # Errors
    /// The connection is closed.
    pub async fn publish_presence(&self, room: &Room, news: &PresenceNews) -> Result<(), BusError> {
        self.publish_json(room.presence_subject(), news).await
    }

    /// Hears what nodes say about a room, this one included. When this returns, nothing said from
    /// then on is missed, as long as the connection stands.
    ///
    /// # Errors
    /// NATS does not answer.
    pub async fn presence(
        &self,
        room: &Room,
    ) -> Result<impl Stream<Item = PresenceNews> + Send + Unpin + use<>, BusError> {
        let news = self.subscribe_json(room.presence_subject()).await?;
        self.settle().await?;
        Ok(news)
    }

    /// Tells the other nodes about this one.
    ///
    /// # Errors
    /// The connection is closed.
    pub async fn publish_peer(&self, news: &PeerNews) -> Result<(), BusError> {
        self.publish_json(subjects::PEERS.to_owned(), news).await
    }

    /// Hears what nodes say about themselves, as [`Bus::presence`] does.
    ///
    /// # Errors
    /// NATS does not answer.
    pub async fn peers(
        &self,
    ) -> Result<impl Stream<Item = PeerNews> + Send + Unpin + use<>, BusError> {
        let news = self.subscribe_json(subjects::PEERS.to_owned()).await?;
        self.settle().await?;
        Ok(news)
    }

    /// Hears of every new connection from now on, and of subscriptions that were too slow.
    pub fn missing(&self) -> Interruptions {
        let mut interruptions = self.interruptions();
        interruptions.mark_unchanged();
        Interruptions(interruptions)
    }
}
