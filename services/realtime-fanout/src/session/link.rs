//! What hangs on an Engine.IO session: decoding, the inbox of its conversation, its end.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use engineioxide::{DisconnectReason, Str};
use socketioxide_core::packet::Packet;
use socketioxide_core::parser::{Parse, ParseConfig, ParseError, ParserState};
use socketioxide_parser_common::CommonParser;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Packets of one socket that wait to be handled; a client that sends more is disconnected.
const INBOX: usize = 256;
/// Most attachments of one packet, and their size together: as much as a frame may have.
const MAX_ATTACHMENTS: usize = 16;
const MAX_ATTACHMENT_BYTES: usize = 1_000_000;

/// An Engine.IO session of this node.
pub(crate) type EngineSocket = engineioxide::Socket<Link>;

/// The state of one session.
#[derive(Debug, Default)]
pub(crate) struct Link {
    parser: ParserState,
    inbox: OnceLock<mpsc::Sender<Packet>>,
    joined: AtomicBool,
    closed: CancellationToken,
}

impl Link {
    /// Opens the inbox. `None` if it was opened before.
    pub(crate) fn open(&self) -> Option<mpsc::Receiver<Packet>> {
        let (sender, receiver) = mpsc::channel(INBOX);
        self.inbox.set(sender).ok().map(|()| receiver)
    }

    /// Cancelled at the session's end.
    pub(crate) fn closed(&self) -> &CancellationToken {
        &self.closed
    }

    /// Whether the client is in the namespace.
    pub(crate) fn is_joined(&self) -> bool {
        self.joined.load(Ordering::Acquire)
    }

    pub(super) fn set_joined(&self, joined: bool) {
        self.joined.store(joined, Ordering::Release);
    }
}

/// Hands a text message to the conversation.
pub(crate) fn receive_text(socket: &EngineSocket, message: Str) {
    let decoded = CommonParser.decode_str(&limits(), &socket.data.parser, message);
    receive(socket, decoded);
}

/// Hands an attachment to the packet that announced it.
pub(crate) fn receive_binary(socket: &EngineSocket, attachment: Bytes) {
    let decoded = CommonParser.decode_bin(&limits(), &socket.data.parser, attachment);
    receive(socket, decoded);
}

fn receive(socket: &EngineSocket, decoded: Result<Packet, ParseError>) {
    match decoded {
        Ok(packet) => {
            let taken = socket
                .data
                .inbox
                .get()
                .is_some_and(|inbox| inbox.try_send(packet).is_ok());
            if !taken {
                disconnect(socket, "flood");
            }
        }
        Err(ParseError::NeedsMoreBinaryData) => {}
        Err(_) => disconnect(socket, "malformed"),
    }
}

/// Closes the transport; the client may connect again. `reason` is for metrics.
pub(crate) fn disconnect(socket: &EngineSocket, reason: &'static str) {
    if !socket.data.closed.is_cancelled() {
        metrics::counter!("realtime_disconnects_total", "reason" => reason).increment(1);
        // At once: the library tells of the end only when the transport has let go, which a
        // client that stopped reading can put off.
        socket.data.closed.cancel();
        socket.close(DisconnectReason::TransportClose);
    }
}

fn limits() -> ParseConfig {
    ParseConfig {
        max_incoming_binary_buf_size: MAX_ATTACHMENT_BYTES,
        max_incoming_binaries: MAX_ATTACHMENTS,
        ..ParseConfig::default()
    }
}
