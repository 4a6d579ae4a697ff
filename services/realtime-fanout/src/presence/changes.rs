//! What joins and leaves a channel, here or on another node, and who hears of it.
//!
//! All of it happens under the roster's lock, also what it says to sockets and to other nodes: so
//! everybody hears changes in the order in which they happened, and nobody between a snapshot and
//! its delivery.

use ingot_bus::{Member, PresenceChange, PresenceNews};
use ingot_identity::Credential;
use time::OffsetDateTime;
use uuid::Uuid;

use super::roster::{Identity, Roster, shown};
use crate::node::Node;
use crate::rooms::{Meta, Room, RoomName, with_meta};
use crate::session::{Client, SocketId, event_frame};

/// Most bytes of ids in one message; NATS takes a megabyte.
const MESSAGE_BYTES: usize = 400_000;

/// Seats a socket among the members, and calls `welcome` with all of them as JSON before anybody
/// hears of the newcomer. Another time it only calls that.
pub(crate) fn enter(node: &Node, room: &Room, client: &Client, welcome: impl FnOnce(&str)) {
    room.roster(|roster| {
        let joined = roster.join(&identity(client), client.id(), now());
        welcome(&roster.snapshot());
        room.seat_present(client.id());
        let Some(joined) = joined else {
            return;
        };
        let event = Uuid::new_v4();
        if joined.anywhere {
            let socket = Some(client.id());
            emit(room, "presence:join", &joined.member, event, socket);
        }
        let change = PresenceChange::Joined(joined.member, event);
        node.peers.tell_of(room, change);
    });
}

/// Takes a socket from the members. A node that stops says nothing: its clients come back to others,
/// who take its silence for the end soon enough, and nobody who is back by then was ever away.
pub(crate) fn exit(node: &Node, room: &Room, client: &Client) {
    room.roster(|roster| {
        let Some(left) = roster.leave(&identity(client), client.id()) else {
            return;
        };
        if node.is_draining() {
            return;
        }
        let event = Uuid::new_v4();
        if left.anywhere {
            let socket = Some(client.id());
            emit(room, "presence:leave", &left.member, event, socket);
        }
        node.peers
            .tell_of(room, PresenceChange::Left(left.member, event));
    });
}

/// Takes in what another node says.
pub(super) fn hear(room: &Room, news: PresenceNews) {
    let PresenceNews { node, change } = news;
    room.roster(|roster| match change {
        PresenceChange::Joined(member, event) => join(roster, room, &node, &member, event),
        PresenceChange::Left(member, event) => {
            if let Some(member) = roster.remove(&node, &member) {
                emit(room, "presence:leave", &member, event, None);
            }
        }
        PresenceChange::Members {
            first,
            last,
            members,
            ..
        } => {
            if first {
                roster.begin_telling(&node);
            }
            for member in members {
                join(roster, room, &node, &member, Uuid::new_v4());
            }
            if last {
                gone(room, roster.end_telling(&node));
            }
        }
    });
}

/// Another node is gone, and everybody on it.
pub(super) fn lose(room: &Room, node: &str) {
    room.roster(|roster| gone(room, roster.remove_node(node)));
}

/// Tells a node, or all of them, who is here.
pub(super) fn tell_members(node: &Node, room: &Room, to: Option<&str>) {
    room.roster(|roster| {
        let mut members = roster.here().into_iter().peekable();
        let mut first = true;
        while first || members.peek().is_some() {
            let mut bytes = 0;
            let mut part = Vec::new();
            while bytes < MESSAGE_BYTES
                && let Some(member) = members.next()
            {
                bytes += member.id.len() + 64;
                part.push(member);
            }
            let change = PresenceChange::Members {
                to: to.map(str::to_owned),
                first,
                last: members.peek().is_none(),
                members: part,
            };
            node.peers.tell_of(room, change);
            first = false;
        }
    });
}

fn join(roster: &mut Roster, room: &Room, node: &str, member: &Member, event: Uuid) {
    if let Some(member) = roster.add(node, member) {
        emit(room, "presence:join", &member, event, None);
    }
}

fn gone(room: &Room, members: Vec<Member>) {
    for member in members {
        emit(room, "presence:leave", &member, Uuid::new_v4(), None);
    }
}

fn emit(room: &Room, name: &str, member: &Member, event: Uuid, except: Option<&SocketId>) {
    if let RoomName::Channel(channel) = room.name() {
        let body = format!(r#"{{"member":{}}}"#, shown(member));
        let meta = Meta::presence(channel, event);
        room.emit_present(&event_frame(name, &with_meta(&body, &meta)), except);
    }
}

/// How a socket appears to others: users by their id, keys by their socket.
fn identity(client: &Client) -> Identity {
    let identity = client.identity();
    match (identity.credential, &identity.subject) {
        (Credential::Token, Some(subject)) => (true, subject.clone()),
        _ => (false, client.id().as_str().to_owned()),
    }
}

/// Microseconds since 1970.
fn now() -> i64 {
    let micros = OffsetDateTime::now_utc().unix_timestamp_nanos() / 1000;
    i64::try_from(micros).unwrap_or(i64::MAX)
}
