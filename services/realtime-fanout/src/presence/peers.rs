//! The nodes that there are: each says every second that it is there.
//!
//! Who is not heard for some seconds is gone, with all its members. Whoever could not hear itself,
//! because it was paused or cut off from NATS, blames nobody: it introduces itself anew, and every
//! room tells and asks who is there.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::{Stream, StreamExt};
use ingot_bus::{PeerNews, PeerWord, PresenceChange, PresenceNews};
use ingot_project::ProjectId;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, timeout};

use super::changes::{lose, tell_members};
use crate::node::Node;
use crate::rooms::{Room, RoomName};

/// How often a node says that it is there.
const BEAT: Duration = Duration::from_secs(1);
/// A node that was not heard for so long is not waited for: it may stand still.
const HUSH: Duration = Duration::from_millis(2200);
/// A node that was not heard for so long is gone.
const LEASE: Duration = Duration::from_secs(7);
/// How long after an introduction all others have answered.
const INTRODUCTION: Duration = Duration::from_millis(300);
/// Pause after an introduction, whatever happens.
const BETWEEN_ROUNDS: Duration = Duration::from_secs(2);
/// Changes that wait to be told; when they are more, all rooms tell everything later.
const OUTBOX: usize = 65_536;
/// Pause before another attempt to subscribe.
const SUBSCRIBE_PAUSE: Duration = Duration::from_millis(500);

/// What waits to be told, and of which room.
type Letter = (ingot_bus::Room, PresenceNews);

/// Another node.
struct Peer {
    /// When it was last heard.
    last: Instant,
    /// It is expected to answer.
    answers: bool,
}

impl Peer {
    fn heard_now() -> Self {
        Self {
            last: Instant::now(),
            answers: true,
        }
    }
}

/// What this node knows of the others.
pub(crate) struct Peers {
    name: String,
    heard: Mutex<HashMap<String, Peer>>,
    /// All others have been heard since the last interruption.
    introduced: watch::Sender<bool>,
    /// How often rooms were asked to tell and ask anew.
    rounds: watch::Sender<u64>,
    outbox: mpsc::Sender<Letter>,
    /// Something could not be told.
    untold: AtomicBool,
}

/// The other end of [`Peers`], for the one task that tells.
pub(crate) struct Letters(mpsc::Receiver<Letter>);

impl Peers {
    pub(crate) fn new(name: &str) -> (Self, Letters) {
        let (outbox, letters) = mpsc::channel(OUTBOX);
        let peers = Self {
            name: name.to_owned(),
            heard: Mutex::default(),
            introduced: watch::Sender::new(false),
            rounds: watch::Sender::new(0),
            outbox,
            untold: AtomicBool::new(false),
        };
        (peers, Letters(letters))
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Changes whenever rooms should tell and ask anew.
    pub(super) fn rounds(&self) -> watch::Receiver<u64> {
        self.rounds.subscribe()
    }

    /// Queues what the others should hear about a room, in its order.
    pub(super) fn tell_of(&self, room: &Room, change: PresenceChange) {
        if let RoomName::Channel(channel) = room.name() {
            self.post(room.project().clone(), channel.clone(), change);
        }
    }

    fn post(&self, project: ProjectId, channel: String, change: PresenceChange) {
        let news = PresenceNews {
            node: self.name.clone(),
            change,
        };
        let room = ingot_bus::Room { project, channel };
        if self.outbox.try_send((room, news)).is_err() {
            self.untold.store(true, Ordering::Release);
        }
    }

    /// The other nodes that will answer, once all of them had time to say that they are there.
    pub(super) async fn others(&self) -> HashSet<String> {
        // The sender lives as long as this, so waiting cannot fail.
        let mut introduced = self.introduced.subscribe();
        introduced.wait_for(|introduced| *introduced).await.ok();
        let heard = self.heard();
        let answering = heard
            .iter()
            .filter(|(_, peer)| peer.answers && peer.last.elapsed() < HUSH);
        answering.map(|(name, _)| name.clone()).collect()
    }

    /// Nobody waits for these until they are heard again.
    pub(super) fn doubt(&self, nodes: &HashSet<String>) {
        let mut heard = self.heard();
        for name in nodes {
            if let Some(peer) = heard.get_mut(name) {
                peer.answers = false;
            }
        }
    }

    fn heard(&self) -> MutexGuard<'_, HashMap<String, Peer>> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes those out that were not heard for too long.
    fn take_lost(&self) -> Vec<String> {
        let mut heard = self.heard();
        let lost: Vec<String> = heard
            .iter()
            .filter(|(_, peer)| peer.last.elapsed() > LEASE)
            .map(|(name, _)| name.clone())
            .collect();
        heard.retain(|_, peer| peer.last.elapsed() <= LEASE);
        lost
    }
}

/// Knows the other nodes and tells them what this one has to say, until it stops.
pub(crate) async fn keep_company(node: Arc<Node>, mut letters: Letters) {
    let stopping = node.draining().clone();
    let company = async {
        let news = loop {
            match node.bus.peers().await {
                Ok(news) => break news,
                Err(error) => tracing::debug!(%error, "cannot hear the other nodes yet"),
            }
            sleep(SUBSCRIBE_PAUSE).await;
        };
        tokio::join!(listen(&node, news), beat(&node), tell(&node, &mut letters));
    };
    stopping.run_until_cancelled(Box::pin(company)).await;
}

async fn listen(node: &Node, mut news: impl Stream<Item = PeerNews> + Unpin) {
    while let Some(PeerNews { node: other, word }) = news.next().await {
        if other == node.peers.name {
            continue;
        }
        if matches!(word, PeerWord::Bye) {
            node.peers.doubt(&HashSet::from([other]));
            continue;
        }
        let heard = Peer::heard_now();
        node.peers.heard().insert(other.clone(), heard);
        match word {
            PeerWord::Beat | PeerWord::Bye => {}
            PeerWord::Hello => say(node, PeerWord::Beat).await,
            PeerWord::Asks { project, channel } => answer(node, &project, channel, &other),
        }
    }
}

/// Also nobody is an answer: the other node waits for all.
fn answer(node: &Node, project: &str, channel: String, other: &str) {
    let Ok(project) = project.parse() else {
        return;
    };
    let name = RoomName::Channel(channel.clone());
    if let Some(room) = node.rooms.find(&project, name) {
        return tell_members(node, &room, Some(other));
    }
    let nobody = PresenceChange::Members {
        to: Some(other.to_owned()),
        first: true,
        last: true,
        members: Vec::new(),
    };
    node.peers.post(project, channel, nobody);
}

async fn beat(node: &Node) {
    let peers = &node.peers;
    let mut missing = node.bus.missing();
    let mut interrupted = true;
    let mut last = Instant::now();
    loop {
        let untold = peers.untold.swap(false, Ordering::AcqRel);
        if interrupted || untold || last.elapsed() > LEASE / 2 {
            peers.introduced.send_replace(false);
            for peer in peers.heard().values_mut() {
                peer.last = Instant::now();
            }
            say(node, PeerWord::Hello).await;
            sleep(INTRODUCTION).await;
            peers.introduced.send_replace(true);
            peers.rounds.send_modify(|round| *round += 1);
            sleep(BETWEEN_ROUNDS).await;
        }
        last = Instant::now();
        say(node, PeerWord::Beat).await;
        // Who hears nothing cannot say who is gone.
        if node.bus.is_connected() {
            for lost in peers.take_lost() {
                tracing::info!(node = lost, "a node is not heard any more");
                node.rooms.for_each(|room| lose(room, &lost));
            }
        }
        interrupted = timeout(BEAT, missing.next()).await.is_ok();
    }
}

async fn tell(node: &Node, letters: &mut Letters) {
    while let Some((room, news)) = letters.0.recv().await {
        if let Err(error) = node.bus.publish_presence(&room, &news).await {
            tracing::warn!(%error, "other nodes cannot be told who is here");
            node.peers.untold.store(true, Ordering::Release);
        }
    }
}

/// Tells the other nodes that this one stops.
pub(crate) async fn say_bye(node: &Node) {
    say(node, PeerWord::Bye).await;
}

/// Says something to all nodes.
pub(super) async fn say(node: &Node, word: PeerWord) {
    let news = PeerNews {
        node: node.peers.name.clone(),
        word,
    };
    if let Err(error) = node.bus.publish_peer(&news).await {
        tracing::debug!(%error, "other nodes do not hear this one");
    }
}
