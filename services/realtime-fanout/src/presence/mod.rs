//! Who is in a channel (contract, realtime §6).
//!
//! [`Roster`] knows the members of one channel on this node and says which changes others must
//! hear of. Members of other nodes are not known here yet; what joins and leaves is decided in
//! this one place, so that they can be added without touching sessions or channels.

mod roster;

pub(crate) use roster::{Member, MemberKind, Roster};

use ingot_identity::{Credential, Identity};

use crate::session::SocketId;

/// How a socket appears to others: users by their id, keys by their socket.
pub(crate) fn kind_and_id(identity: &Identity, socket: &SocketId) -> (MemberKind, String) {
    match (identity.credential, &identity.subject) {
        (Credential::Token, Some(subject)) => (MemberKind::User, subject.clone()),
        _ => (MemberKind::Anonymous, socket.as_str().to_owned()),
    }
}
