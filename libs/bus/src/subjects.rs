//! The subjects. A project id is safe in a subject by construction; a room name is not, and is
//! therefore replaced by its digest.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ingot_project::ProjectId;
use sha2::{Digest, Sha256};

/// Stream that keeps room messages for gap fill.
pub(crate) const REALTIME_STREAM: &str = "INGOT_RT";
/// Subjects of that stream.
pub(crate) const REALTIME_SUBJECTS: &str = "ingot.rt.>";

/// Changes that dashboards refresh on.
pub(crate) fn dashboard(project: &ProjectId) -> String {
    format!("ingot.dashboard.{project}")
}

/// Caches that must be dropped.
pub(crate) fn invalidation(project: &ProjectId) -> String {
    format!("ingot.cache.{project}")
}

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
    /// Subject on which the room's messages travel.
    pub fn subject(&self) -> String {
        format!(
            "ingot.rt.{}.{}",
            self.project,
            RoomToken::of(&self.channel).as_str()
        )
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
            let subject = room.subject();
            assert_eq!(subject.len(), "ingot.rt.default.".len() + 22);
            assert!(
                subject
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
            );
        }
    }
}
