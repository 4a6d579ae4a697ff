//! Connects Engine.IO sessions with their conversations.

use std::sync::Arc;

use bytes::Bytes;
use engineioxide::handler::EngineIoHandler;
use engineioxide::{DisconnectReason, Str};

use ingot_http::Forwarded;

use crate::node::Node;
use crate::session::{EngineSocket, Link, Session, converse};

/// Called by the library for every session that it carries.
#[derive(Debug)]
pub(super) struct Handler {
    node: Arc<Node>,
}

impl Handler {
    pub(super) fn new(node: Arc<Node>) -> Self {
        Self { node }
    }

    /// Ends a session that must not go on.
    fn settle(&self, socket: &EngineSocket, received: Result<(), &'static str>) {
        let Err(reason) = received else {
            return;
        };
        let session = self.node.sockets.get(&socket.id).map(|s| s.clone());
        if let Some(session) = session {
            session.disconnect(reason);
        }
    }
}

impl EngineIoHandler for Handler {
    type Data = Arc<Link>;

    fn on_connect(self: Arc<Self>, socket: Arc<EngineSocket>) {
        let forwarded = socket.req_parts.extensions.get::<Forwarded>();
        let Some(project) = forwarded.map(|forwarded| Arc::clone(&forwarded.project)) else {
            // The guard lets nobody in without.
            return socket.close(DisconnectReason::TransportClose);
        };
        let node = Arc::clone(&self.node);
        let session = Session::of_library(socket, project);
        node.sockets.insert(session.id, session.clone());
        self.node.tasks.spawn(converse(node, session));
    }

    fn on_disconnect(&self, socket: Arc<EngineSocket>, reason: DisconnectReason) {
        tracing::debug!(?reason, "a session ended");
        socket.data.closed().cancel();
    }

    fn on_message(self: &Arc<Self>, message: Str, socket: Arc<EngineSocket>) {
        self.settle(&socket, socket.data.receive_text(message));
    }

    fn on_binary(self: &Arc<Self>, attachment: Bytes, socket: Arc<EngineSocket>) {
        self.settle(&socket, socket.data.receive_binary(attachment));
    }
}
