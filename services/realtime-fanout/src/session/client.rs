//! A socket that joined the namespace.

use std::sync::Arc;

use engineioxide::Str;
use ingot_identity::Identity;
use ingot_project::Project;
use tokio::sync::mpsc::error::TrySendError;

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

/// What became of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Offer {
    /// It is queued.
    Taken,
    /// The queue is full.
    Full,
    /// The client is not there, or not there yet.
    Gone,
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
        match self.offer(frame) {
            Offer::Taken => true,
            Offer::Full => {
                self.disconnect("slow");
                false
            }
            Offer::Gone => false,
        }
    }

    /// Queues a frame if there is space.
    pub(crate) fn offer(&self, frame: Str) -> Offer {
        if !self.engine.data.is_joined() {
            return Offer::Gone;
        }
        match self.engine.emit(frame) {
            Ok(()) => Offer::Taken,
            Err(TrySendError::Full(_)) => Offer::Full,
            Err(TrySendError::Closed(_)) => {
                self.disconnect("closed");
                Offer::Gone
            }
        }
    }

    /// Whether so many more frames fit into the queue.
    pub(crate) fn has_space_for(&self, frames: usize) -> bool {
        let mut places = Vec::with_capacity(frames);
        while places.len() < frames {
            match self.engine.reserve() {
                Ok(place) => places.push(place),
                Err(_) => return false,
            }
        }
        true
    }

    /// Closes the transport; the client may connect again. `reason` is for metrics.
    pub(crate) fn disconnect(&self, reason: &'static str) {
        disconnect(&self.engine, reason);
    }
}
