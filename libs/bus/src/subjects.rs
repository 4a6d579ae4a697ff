//! The subjects. A project id is safe in a subject by construction; a room name is not, and is
//! therefore replaced by its digest.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ingot_project::ProjectId;
use sha2::{Digest, Sha256};

/// A subject that nobody ever listens to: a question there is answered by the server itself.
pub(crate) const NOBODY: &str = "ingot.nobody";

/// Stream that keeps a project's room messages for gap fill. One per project: its relay is the
/// only writer, so that "the message before this one" has a meaning, and one project's burst
/// cannot push another's history out.
pub(crate) fn room_stream(project: &ProjectId) -> String {
    format!("INGOT_RT_{project}")
}

/// What the relay publishes: the subjects of [`room_stream`].
pub(crate) fn published(project: &ProjectId) -> String {
    format!("ingot.rt.{project}.>")
}

/// What the stream sends on once a message is stored, and nodes listen to. A duplicate that the
/// stream refused never gets here.
pub(crate) fn delivered(project: &ProjectId) -> String {
    format!("ingot.room.{project}.>")
}

/// How many sockets got which message.
pub(crate) fn audience(project: &ProjectId) -> String {
    format!("ingot.audience.{project}")
}

/// Changes that dashboards refresh on.
pub(crate) fn dashboard(project: &ProjectId) -> String {
    format!("ingot.dashboard.{project}")
}

/// Caches that must be dropped.
pub(crate) fn invalidation(project: &ProjectId) -> String {
    format!("ingot.cache.{project}")
}

/// What nodes tell each other about themselves.
pub(crate) const PEERS: &str = "ingot.peers";

/// Users who were deleted.
pub(crate) const DELETED_USERS: &str = "ingot.users.deleted";

/// A channel of a project, as fan-out nodes join it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Room {
    /// The project.
    pub project: ProjectId,
    /// The literal channel name, any text.
    pub channel: String,
}

/// A room's place in a subject: 22 characters of `[A-Za-z0-9_-]`, the same on every node.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RoomToken(String);

impl RoomToken {
    /// The token of a channel: 132 bits of its SHA-256, which no two channels share in practice.
    pub fn of(channel: &str) -> Self {
        let mut token = URL_SAFE_NO_PAD.encode(Sha256::digest(channel.as_bytes()));
        token.truncate(22);
        Self(token)
    }

    /// The token as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Room {
    /// Subject under which the stream keeps the room's messages.
    pub(crate) fn stream_subject(&self) -> String {
        let token = RoomToken::of(&self.channel);
        format!("ingot.rt.{}.{}", self.project, token.as_str())
    }

    /// Subject on which the room's stored messages reach nodes.
    pub(crate) fn delivery_subject(&self) -> String {
        let token = RoomToken::of(&self.channel);
        format!("ingot.room.{}.{}", self.project, token.as_str())
    }

    /// Subject on which nodes tell each other who is in the room.
    pub(crate) fn presence_subject(&self) -> String {
        let token = RoomToken::of(&self.channel);
        format!("ingot.presence.{}.{}", self.project, token.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_channel_name_makes_a_legal_subject() {
        for channel in ["order:1", "", "a b.c*>", "évt☃", &"x".repeat(10_000)] {
            let room = Room {
                project: "default".parse().unwrap(),
                channel: channel.to_owned(),
            };
            let subject = room.stream_subject();
            assert_eq!(subject.len(), "ingot.rt.default.".len() + 22);
            assert!(
                subject
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
            );
        }
    }
}
