//! The members of one channel: one entry per identity, however many sockets it has.

use std::collections::{HashMap, HashSet};

use ingot_http::Timestamp;
use serde::Serialize;
use time::OffsetDateTime;

use crate::session::SocketId;

/// Kind of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum MemberKind {
    User,
    Anonymous,
}

/// A member as clients see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Member {
    #[serde(rename = "type")]
    pub(crate) kind: MemberKind,
    pub(crate) presence_id: String,
    /// When its first socket joined.
    pub(crate) joined_at: Timestamp,
}

#[derive(Debug)]
struct Entry {
    member: Member,
    sockets: HashSet<SocketId>,
    /// Orders the snapshot.
    arrival: u64,
}

/// The members of a channel.
#[derive(Debug, Default)]
pub(crate) struct Roster {
    entries: HashMap<(MemberKind, String), Entry>,
    arrivals: u64,
}

impl Roster {
    /// Adds a socket. Returns the member if this was its first socket, so that others hear of it.
    pub(crate) fn join(
        &mut self,
        kind: MemberKind,
        presence_id: &str,
        socket: &SocketId,
    ) -> Option<Member> {
        self.arrivals += 1;
        let arrival = self.arrivals;
        let entry = self
            .entries
            .entry((kind, presence_id.to_owned()))
            .or_insert_with(|| Entry {
                member: Member {
                    kind,
                    presence_id: presence_id.to_owned(),
                    joined_at: OffsetDateTime::now_utc().into(),
                },
                sockets: HashSet::new(),
                arrival,
            });
        let first = entry.sockets.is_empty();
        entry.sockets.insert(socket.clone());
        first.then(|| entry.member.clone())
    }

    /// Removes a socket. Returns the member if this was its last socket.
    pub(crate) fn leave(
        &mut self,
        kind: MemberKind,
        presence_id: &str,
        socket: &SocketId,
    ) -> Option<Member> {
        let key = (kind, presence_id.to_owned());
        let entry = self.entries.get_mut(&key)?;
        entry.sockets.remove(socket);
        if !entry.sockets.is_empty() {
            return None;
        }
        self.entries.remove(&key).map(|entry| entry.member)
    }

    /// All members, in the order of their arrival.
    pub(crate) fn snapshot(&self) -> Vec<Member> {
        let mut entries: Vec<&Entry> = self.entries.values().collect();
        entries.sort_unstable_by_key(|entry| entry.arrival);
        entries
            .into_iter()
            .map(|entry| entry.member.clone())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_is_there_from_its_first_to_its_last_socket() {
        let mut roster = Roster::default();
        let (one, two, other) = (SocketId::random(), SocketId::random(), SocketId::random());
        let joined = roster.join(MemberKind::User, "u", &one).unwrap();
        assert_eq!(roster.join(MemberKind::User, "u", &two), None);
        assert_eq!(roster.join(MemberKind::User, "u", &two), None);
        roster.join(MemberKind::Anonymous, other.as_str(), &other);
        assert_eq!(roster.snapshot().len(), 2);
        assert_eq!(roster.snapshot().first(), Some(&joined));
        assert_eq!(roster.leave(MemberKind::User, "u", &one), None);
        assert_eq!(roster.leave(MemberKind::User, "u", &two), Some(joined));
        assert_eq!(roster.leave(MemberKind::User, "u", &two), None);
        assert_eq!(roster.snapshot().len(), 1);
    }
}
