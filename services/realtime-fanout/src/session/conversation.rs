//! A socket's packets, one after the other: what a client sends is handled in its order.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures::future::join_all;
use ingot_identity::Identity;
use ingot_project::Project;
use serde_json::{Map, Value as Json};
use socketioxide_core::Value;
use socketioxide_core::packet::{Packet, PacketData};
use tokio::time::{Instant, timeout, timeout_at};

use super::client::Client;
use super::frame::{Frame, connected_frame, refused_frame};
use super::link::{Offer, Session};
use super::pace::Pace;
use crate::channels;
use crate::handshake::{Refusal, authenticate};
use crate::node::Node;
use crate::rooms::{Room, RoomName};

/// A session that does not join the namespace within this time is closed (contract, realtime §1).
const CONNECT_TIMEOUT: Duration = Duration::from_secs(45);

/// How long a client waits for its own rooms' feeds.
const FEED_PATIENCE: Duration = Duration::from_secs(2);

/// The packet cannot be answered within the protocol: the session ends.
#[derive(Debug)]
pub(crate) struct Violation;

/// Handles packets until the session ends, then leaves every room.
pub(crate) async fn converse(node: Arc<Node>, session: Session) {
    let closed = session.link.closed().clone();
    let mut conversation = Conversation {
        node,
        session,
        membership: None,
    };
    // Dropping the handling of a packet half-way is fine: rooms are noted before anything is
    // waited for, so leaving finds them.
    closed.run_until_cancelled(conversation.run()).await;
    conversation.leave();
    conversation.node.sockets.remove(&conversation.session.id);
}

struct Conversation {
    node: Arc<Node>,
    session: Session,
    membership: Option<Membership>,
}

/// A client in the namespace and the rooms that it is in.
pub(crate) struct Membership {
    pub(crate) node: Arc<Node>,
    pub(crate) client: Arc<Client>,
    /// When the token expires, if its socket is closed then.
    expiry: Option<Instant>,
    pace: Pace,
    /// Rooms that every socket is in.
    own: Vec<Arc<Room>>,
    /// Subscribed channels by their literal names.
    channels: HashMap<String, Arc<Room>>,
}

impl Conversation {
    async fn run(&mut self) {
        loop {
            let link = &self.session.link;
            let next = match &self.membership {
                Some(membership) => match membership.expiry {
                    Some(expiry) => timeout_at(expiry, link.next()).await.map_err(|_| "expired"),
                    None => Ok(link.next().await),
                },
                None => timeout(CONNECT_TIMEOUT, link.next())
                    .await
                    .map_err(|_| "protocol"),
            };
            let packet = match next {
                Ok(packet) => packet,
                Err(reason) => return self.session.disconnect(reason),
            };
            // In a box of its own, for most sockets have nothing to be handled most of the time.
            if Box::pin(self.handle(packet)).await.is_err() {
                return self.session.disconnect("protocol");
            }
        }
    }

    async fn handle(&mut self, packet: Packet) -> Result<(), Violation> {
        if packet.ns.as_str() != "/" {
            return self.refuse_namespace(&packet);
        }
        match (packet.inner, &mut self.membership) {
            (PacketData::Connect(auth), None) => self.join(auth.as_ref()).await,
            (PacketData::Disconnect, Some(_)) => {
                self.leave();
                Ok(())
            }
            (
                PacketData::Event(data, ack) | PacketData::BinaryEvent(data, ack),
                Some(membership),
            ) => channels::handle(membership, &data, ack).await,
            // Nothing here asks a client for an answer.
            (PacketData::EventAck(..) | PacketData::BinaryAck(..), Some(_)) => Ok(()),
            (PacketData::Connect(_) | PacketData::ConnectError(_), Some(_)) | (_, None) => {
                Err(Violation)
            }
        }
    }

    fn refuse_namespace(&self, packet: &Packet) -> Result<(), Violation> {
        if !matches!(packet.inner, PacketData::Connect(_)) {
            return Err(Violation);
        }
        let frame = refused_frame(packet.ns.as_str(), "Invalid namespace");
        self.say(&frame)
    }

    /// Tells the client something before it is in the namespace.
    fn say(&self, frame: &Frame) -> Result<(), Violation> {
        match self.session.offer(frame) {
            Offer::Taken => Ok(()),
            Offer::Full | Offer::Gone => Err(Violation),
        }
    }

    async fn join(&mut self, auth: Option<&Value>) -> Result<(), Violation> {
        let project = Arc::clone(&self.session.project);
        let auth = match auth {
            Some(Value::Str(text, _)) => serde_json::from_str(text.as_str())
                .ok()
                .filter(Json::is_object)
                .ok_or(Violation)?,
            _ => Json::Object(Map::new()),
        };
        let mut identity = authenticate(&self.node.authenticator, &project, &auth).await;
        if identity
            .as_ref()
            .is_ok_and(|identity| self.is_deleted(&project, identity))
        {
            identity = Err(Refusal::Token);
        }
        let identity = match identity {
            Ok(identity) => identity,
            Err(Refusal::Unavailable) => return Err(Violation),
            Err(refusal) => {
                let frame = refused_frame("/", &refusal.to_string());
                return self.say(&frame);
            }
        };
        let settings = &self.node.settings;
        let pace = Pace::new(settings.events_per_second);
        let expiry = settings.close_expired.then(|| expiry(&identity)).flatten();
        let user = RoomName::User(identity.actor().to_owned());
        let role = RoomName::Role(identity.role.as_str().to_owned());
        let client = Arc::new(Client::new(identity, self.session.clone()));
        let own = [user, role].map(|name| self.node.rooms.enter(&self.node, &client, name, 0));
        metrics::gauge!("realtime_sockets").increment(1.0);
        let welcome = connected_frame(client.id());
        self.membership = Some(Membership {
            node: Arc::clone(&self.node),
            client,
            expiry,
            pace,
            own: own.to_vec(),
            channels: HashMap::new(),
        });
        // Who is told that it is connected misses nothing from then on; but a bus that is away
        // must not keep anybody out.
        let fed = own.iter().map(|room| room.fed());
        let _late = timeout(FEED_PATIENCE, join_all(fed)).await;
        self.say(&welcome)?;
        self.session.link.set_joined(true);
        Ok(())
    }

    fn is_deleted(&self, project: &Project, identity: &Identity) -> bool {
        let user = identity.subject.as_deref();
        user.is_some_and(|user| self.node.deleted.has(&project.id, user))
    }

    fn leave(&mut self) {
        self.session.link.set_joined(false);
        let Some(mut membership) = self.membership.take() else {
            return;
        };
        metrics::gauge!("realtime_sockets").decrement(1.0);
        for channel in membership.channel_names() {
            channels::leave(&mut membership, &channel);
        }
        for room in &membership.own {
            self.node.rooms.leave(&membership.client, room);
        }
    }
}

/// When a token expires; `None` for keys and for what is too far away to matter.
fn expiry(identity: &Identity) -> Option<Instant> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
    let left = Duration::from_secs(identity.expires_at?).saturating_sub(now);
    Instant::now().checked_add(left)
}

impl Membership {
    /// Whether the client may send one more event; it counts if so.
    pub(crate) fn allows_one(&mut self) -> bool {
        self.pace.allows_one()
    }

    /// Enters a channel's room and notes it at once, so that leaving never forgets it. The socket
    /// hears messages above a sequence; where it is in the room already, nothing changes.
    pub(crate) fn enter(&mut self, channel: &str, above: u64) -> Arc<Room> {
        match self.channels.entry(channel.to_owned()) {
            Entry::Occupied(entry) => Arc::clone(entry.get()),
            Entry::Vacant(entry) => {
                let name = RoomName::Channel(channel.to_owned());
                let room = self.node.rooms.enter(&self.node, &self.client, name, above);
                Arc::clone(entry.insert(room))
            }
        }
    }

    /// Leaves a channel's room; the room is returned if the socket was in it.
    pub(crate) fn exit(&mut self, channel: &str) -> Option<Arc<Room>> {
        let room = self.channels.remove(channel)?;
        self.node.rooms.leave(&self.client, &room);
        Some(room)
    }

    /// The room of a subscribed channel.
    pub(crate) fn room(&self, channel: &str) -> Option<&Arc<Room>> {
        self.channels.get(channel)
    }

    /// Subscribed channels.
    pub(crate) fn channel_names(&self) -> Vec<String> {
        self.channels.keys().cloned().collect()
    }
}
