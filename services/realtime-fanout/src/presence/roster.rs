//! The members of one channel: one entry per identity, however many sockets it has on however many
//! nodes.

use std::collections::{BTreeMap, HashMap, HashSet};

use ingot_bus::Member;
use ingot_http::Timestamp;
use serde::Serialize;
use time::OffsetDateTime;

use crate::session::SocketId;

/// Who a member is: whether it is a user, and its id.
pub(crate) type Identity = (bool, String);

/// A member as clients see it (contract, realtime §6).
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    presence_id: &'a str,
    joined_at: Timestamp,
}

/// The JSON that clients see of a member.
pub(super) fn shown(member: &Member) -> String {
    let joined_at = OffsetDateTime::from_unix_timestamp_nanos(i128::from(member.since) * 1000)
        .unwrap_or(OffsetDateTime::UNIX_EPOCH)
        .into();
    let shown = Shown {
        kind: if member.user { "user" } else { "anonymous" },
        presence_id: &member.id,
        joined_at,
    };
    // Texts always serialise.
    serde_json::to_string(&shown).unwrap_or_default()
}

#[derive(Debug)]
struct Entry {
    /// When it joined first, in microseconds since 1970.
    since: i64,
    /// Its sockets here.
    sockets: HashSet<SocketId>,
    /// When its first socket here joined.
    since_here: i64,
    /// The other nodes that it is on.
    nodes: HashSet<String>,
}

impl Entry {
    fn member(&self, (user, id): &Identity) -> Member {
        Member {
            user: *user,
            id: id.clone(),
            since: self.since,
        }
    }
}

/// A member whose first socket on this node came, or whose last one went.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Changed {
    /// What the other nodes hear of.
    pub(super) member: Member,
    /// It is on no other node, so that clients hear of it, too.
    pub(super) anywhere: bool,
}

/// The members of a channel.
#[derive(Debug, Default)]
pub(crate) struct Roster {
    entries: HashMap<Identity, Entry>,
    /// What clients see of each, in the order of joining.
    shown: BTreeMap<(i64, Identity), String>,
    /// Members of a node that is telling of all its members.
    told: HashMap<String, HashSet<Identity>>,
}

impl Roster {
    /// Adds a socket of this node at a time. `None` when its member was here already.
    pub(super) fn join(
        &mut self,
        identity: &Identity,
        socket: &SocketId,
        now: i64,
    ) -> Option<Changed> {
        let anywhere = !self.entries.contains_key(identity);
        let entry = self.entry(identity, now);
        let here = entry.sockets.is_empty();
        entry.sockets.insert(socket.clone());
        if here {
            entry.since_here = now;
        }
        let member = entry.member(identity);
        here.then_some(Changed { member, anywhere })
    }

    /// Removes a socket of this node. `None` when its member stays here, or never was.
    pub(super) fn leave(&mut self, identity: &Identity, socket: &SocketId) -> Option<Changed> {
        let entry = self.entries.get_mut(identity)?;
        if !entry.sockets.remove(socket) || !entry.sockets.is_empty() {
            return None;
        }
        let member = entry.member(identity);
        let anywhere = self.forget_absent(identity).is_some();
        Some(Changed { member, anywhere })
    }

    /// A member is on another node. It is returned if it was nowhere before.
    pub(super) fn add(&mut self, node: &str, member: &Member) -> Option<Member> {
        let identity = (member.user, member.id.clone());
        if let Some(told) = self.told.get_mut(node) {
            told.insert(identity.clone());
        }
        let anywhere = !self.entries.contains_key(&identity);
        let entry = self.entry(&identity, member.since);
        entry.nodes.insert(node.to_owned());
        anywhere.then(|| entry.member(&identity))
    }

    /// A member is on that node no longer. It is returned if it is nowhere now.
    pub(super) fn remove(&mut self, node: &str, member: &Member) -> Option<Member> {
        let identity = (member.user, member.id.clone());
        let entry = self.entries.get_mut(&identity)?;
        entry.nodes.remove(node);
        self.forget_absent(&identity)
    }

    /// A node begins to tell of all its members.
    pub(super) fn begin_telling(&mut self, node: &str) {
        self.told.insert(node.to_owned(), HashSet::new());
    }

    /// It has told of all. Returns the members that are nowhere now.
    pub(super) fn end_telling(&mut self, node: &str) -> Vec<Member> {
        let told = self.told.remove(node).unwrap_or_default();
        self.retain(node, |identity| told.contains(identity))
    }

    /// A node is gone. Returns the members that are nowhere now.
    pub(super) fn remove_node(&mut self, node: &str) -> Vec<Member> {
        self.told.remove(node);
        self.retain(node, |_| false)
    }

    fn retain(&mut self, node: &str, stays: impl Fn(&Identity) -> bool) -> Vec<Member> {
        let gone: Vec<Identity> = self
            .entries
            .iter()
            .filter(|(identity, entry)| entry.nodes.contains(node) && !stays(identity))
            .map(|(identity, _)| identity.clone())
            .collect();
        gone.into_iter()
            .filter_map(|identity| {
                self.entries.get_mut(&identity)?.nodes.remove(node);
                self.forget_absent(&identity)
            })
            .collect()
    }

    /// The members that this node tells the others of.
    pub(super) fn here(&self) -> Vec<Member> {
        let here = self.entries.iter();
        here.filter(|(_, entry)| !entry.sockets.is_empty())
            .map(|(identity, entry)| Member {
                since: entry.since_here,
                ..entry.member(identity)
            })
            .collect()
    }

    /// All members as a JSON list, in the order of joining.
    pub(super) fn snapshot(&self) -> String {
        let members: Vec<&str> = self.shown.values().map(String::as_str).collect();
        format!("[{}]", members.join(","))
    }

    /// The entry of an identity that joined at a time, or before.
    fn entry(&mut self, identity: &Identity, since: i64) -> &mut Entry {
        let entry = self
            .entries
            .entry(identity.clone())
            .or_insert_with(|| Entry {
                since: i64::MAX,
                sockets: HashSet::new(),
                since_here: since,
                nodes: HashSet::new(),
            });
        if since < entry.since {
            self.shown.remove(&(entry.since, identity.clone()));
            entry.since = since;
            let shown = shown(&entry.member(identity));
            self.shown.insert((since, identity.clone()), shown);
        }
        entry
    }

    /// Forgets a member that is nowhere, and returns it.
    fn forget_absent(&mut self, identity: &Identity) -> Option<Member> {
        let entry = self.entries.get(identity)?;
        if !entry.sockets.is_empty() || !entry.nodes.is_empty() {
            return None;
        }
        let entry = self.entries.remove(identity)?;
        self.shown.remove(&(entry.since, identity.clone()));
        Some(entry.member(identity))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user() -> Identity {
        (true, "u".to_owned())
    }

    fn member(since: i64) -> Member {
        Member {
            user: true,
            id: "u".to_owned(),
            since,
        }
    }

    fn changed(since: i64, anywhere: bool) -> Changed {
        Changed {
            member: member(since),
            anywhere,
        }
    }

    #[test]
    fn a_member_is_there_from_its_first_to_its_last_socket() {
        let mut roster = Roster::default();
        let (one, two, other) = (SocketId::random(), SocketId::random(), SocketId::random());
        assert_eq!(roster.join(&user(), &one, 1), Some(changed(1, true)));
        assert_eq!(roster.join(&user(), &two, 2), None);
        assert_eq!(roster.join(&user(), &two, 3), None);
        roster.join(&(false, "x".to_owned()), &other, 4);
        assert_eq!(
            roster.snapshot(),
            r#"[{"type":"user","presenceId":"u","joinedAt":"1970-01-01T00:00:00.000Z"},{"type":"anonymous","presenceId":"x","joinedAt":"1970-01-01T00:00:00.000Z"}]"#
        );
        assert_eq!(roster.leave(&user(), &one), None);
        assert_eq!(roster.leave(&user(), &two), Some(changed(1, true)));
        assert_eq!(roster.leave(&user(), &two), None);
        assert_eq!(roster.here().len(), 1);
    }

    #[test]
    fn a_member_on_two_nodes_is_one_until_both_are_left() {
        let mut roster = Roster::default();
        let socket = SocketId::random();
        assert_eq!(roster.add("a", &member(5)), Some(member(5)));
        assert_eq!(roster.add("a", &member(5)), None);
        assert_eq!(roster.join(&user(), &socket, 9), Some(changed(5, false)));
        assert_eq!(roster.here(), [member(9)], "others have their own time");
        assert_eq!(roster.add("b", &member(3)), None);
        assert_eq!(roster.shown.len(), 1);
        assert_eq!(roster.remove("a", &member(5)), None);
        assert_eq!(roster.leave(&user(), &socket), Some(changed(3, false)));
        assert_eq!(roster.remove("b", &member(3)), Some(member(3)));
        assert_eq!(roster.snapshot(), "[]");
    }

    #[test]
    fn who_is_not_told_of_or_was_on_a_lost_node_is_gone() {
        let mut roster = Roster::default();
        let other = Member {
            user: false,
            id: "x".to_owned(),
            since: 1,
        };
        roster.add("a", &member(1));
        roster.add("a", &other);
        roster.begin_telling("a");
        roster.add("a", &other);
        assert_eq!(roster.end_telling("a"), [member(1)]);
        roster.add("b", &other);
        assert_eq!(roster.remove_node("a"), []);
        assert_eq!(roster.remove_node("b"), [other]);
        assert!(roster.entries.is_empty() && roster.shown.is_empty());
    }
}
