//! Connects Engine.IO sessions with their conversations.

use std::sync::Arc;

use bytes::Bytes;
use engineioxide::handler::EngineIoHandler;
use engineioxide::{DisconnectReason, Str};

use crate::node::Node;
use crate::session::{EngineSocket, Link, converse, receive_binary, receive_text};

/// Called by the library for every session.
#[derive(Debug)]
pub(super) struct Handler {
    node: Arc<Node>,
}

impl Handler {
    pub(super) fn new(node: Arc<Node>) -> Self {
        Self { node }
    }
}

impl EngineIoHandler for Handler {
    type Data = Link;

    fn on_connect(self: Arc<Self>, socket: Arc<EngineSocket>) {
        if let Some(inbox) = socket.data.open() {
            let node = Arc::clone(&self.node);
            node.sockets.insert(socket.id, Arc::clone(&socket));
            self.node.tasks.spawn(converse(node, socket, inbox));
        }
    }

    fn on_disconnect(&self, socket: Arc<EngineSocket>, reason: DisconnectReason) {
        tracing::debug!(?reason, "a session ended");
        socket.data.closed().cancel();
    }

    fn on_message(self: &Arc<Self>, message: Str, socket: Arc<EngineSocket>) {
        receive_text(&socket, message);
    }

    fn on_binary(self: &Arc<Self>, attachment: Bytes, socket: Arc<EngineSocket>) {
        receive_binary(&socket, attachment);
    }
}
