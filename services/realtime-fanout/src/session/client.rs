//! A socket that joined the namespace.

use std::sync::Arc;

use engineioxide::Str;
use ingot_identity::Identity;
use ingot_project::Project;

use super::link::{EngineSocket, disconnect};
use crate::node::random_text;

/// Characters of a socket id.
const ID_LENGTH: usize = 20;

/// Id of a socket, unique over all nodes. Not the session's id: others may see it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct SocketId(Arc<str>);

impl SocketId {
    pub(crate) fn random() -> Self {
        Self(random_text(ID_LENGTH).into())
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// A socket with its project and identity, which it keeps to its end.
pub(crate) struct Client {
    id: SocketId,
    project: Arc<Project>,
    identity: Identity,
    engine: Arc<EngineSocket>,
}

impl Client {
    pub(super) fn new(
        project: Arc<Project>,
        identity: Identity,
        engine: Arc<EngineSocket>,
    ) -> Self {
        Self {
            id: SocketId::random(),
            project,
            identity,
            engine,
        }
    }

    pub(crate) fn id(&self) -> &SocketId {
        &self.id
    }

    pub(crate) fn project(&self) -> &Project {
        &self.project
    }

    pub(crate) fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Queues a frame. A client whose queue is full reads too slowly and is disconnected; one that
    /// has not been told yet that it is in the namespace gets nothing.
    pub(crate) fn send(&self, frame: Str) -> bool {
        if !self.engine.data.is_joined() {
            return false;
        }
        let sent = self.engine.emit(frame).is_ok();
        if !sent {
            disconnect(&self.engine, "slow");
        }
        sent
    }
}
