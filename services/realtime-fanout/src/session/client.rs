//! A socket that joined the namespace.

use std::sync::Arc;

use ingot_identity::Identity;
use ingot_project::Project;

use super::frame::Frame;
use super::link::{Offer, Session};
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
    identity: Identity,
    session: Session,
}

impl Client {
    pub(super) fn new(identity: Identity, session: Session) -> Self {
        Self {
            id: SocketId::random(),
            identity,
            session,
        }
    }

    pub(crate) fn id(&self) -> &SocketId {
        &self.id
    }

    pub(crate) fn project(&self) -> &Project {
        &self.session.project
    }

    pub(crate) fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Sends a frame. A client whose queue is full reads too slowly and is disconnected; one that
    /// has not been told yet that it is in the namespace gets nothing.
    pub(crate) fn send(&self, frame: &Frame) -> bool {
        match self.offer(frame) {
            Offer::Taken => true,
            Offer::Full => {
                self.disconnect("slow");
                false
            }
            Offer::Gone => false,
        }
    }

    /// As [`Client::send`], but the frame has time until [`Client::flush_deferred`].
    pub(crate) fn defer(&self, frame: &Frame) {
        if !self.session.link.is_joined() {
            return;
        }
        match self.session.defer(frame) {
            Offer::Taken => {}
            Offer::Full => self.disconnect("slow"),
            Offer::Gone => self.disconnect("closed"),
        }
    }

    /// Writes what had time.
    pub(crate) fn flush_deferred(&self) {
        self.session.flush_deferred();
    }

    /// Sends a frame, or queues it if there is space.
    pub(crate) fn offer(&self, frame: &Frame) -> Offer {
        self.offer_all(std::slice::from_ref(frame)).1
    }

    /// Sends frames at once, or queues them. Returns how many were taken, and what became of the
    /// one after them, if there is one.
    pub(crate) fn offer_all(&self, frames: &[Frame]) -> (usize, Offer) {
        if !self.session.link.is_joined() {
            return (0, Offer::Gone);
        }
        let (taken, offer) = self.session.offer_all(frames);
        if offer == Offer::Gone {
            self.disconnect("closed");
        }
        (taken, offer)
    }

    /// Whether so many more frames fit into the queue.
    pub(crate) fn has_space_for(&self, frames: usize) -> bool {
        self.session.has_space_for(frames)
    }

    /// Closes the transport; the client may connect again. `reason` is for metrics.
    pub(crate) fn disconnect(&self, reason: &'static str) {
        self.session.disconnect(reason);
    }
}
