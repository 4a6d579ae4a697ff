//! What hangs on an Engine.IO session: decoding, the inbox of its conversation, its end.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use bytes::Bytes;
use engineioxide::{DisconnectReason, Str};
use socketioxide_core::Value;
use socketioxide_core::packet::{Packet, PacketData};
use socketioxide_core::parser::{Parse, ParseConfig, ParseError, ParserState};
use socketioxide_parser_common::CommonParser;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::frame::is_idle;

/// Packets of one socket that wait to be handled, and their bytes; a client that sends more is
/// disconnected.
const INBOX: usize = 1024;
const INBOX_BYTES: usize = 4_000_000;
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
    inbox_bytes: AtomicUsize,
    joined: AtomicBool,
    closed: CancellationToken,
}

impl Link {
    /// Opens the inbox. `None` if it was opened before.
    pub(crate) fn open(&self) -> Option<mpsc::Receiver<Packet>> {
        let (sender, receiver) = mpsc::channel(INBOX);
        self.inbox.set(sender).ok().map(|()| receiver)
    }

    /// A packet came out of the inbox.
    pub(super) fn take_from_inbox(&self, packet: &Packet) {
        self.inbox_bytes
            .fetch_sub(weight(packet), Ordering::Relaxed);
    }

    /// Whether there was space for a packet.
    fn put_into_inbox(&self, packet: Packet) -> bool {
        let weight = weight(&packet);
        let waiting = self.inbox_bytes.fetch_add(weight, Ordering::Relaxed);
        let inbox = self.inbox.get();
        waiting + weight <= INBOX_BYTES && inbox.is_some_and(|inbox| inbox.try_send(packet).is_ok())
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
    match is_idle(message.as_str()) {
        Some(true) if socket.data.is_joined() => return,
        Some(_) => return disconnect(socket, "malformed"),
        None => {}
    }
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
            if !socket.data.put_into_inbox(packet) {
                disconnect(socket, "flood");
            }
        }
        Err(ParseError::NeedsMoreBinaryData) => {}
        Err(_) => disconnect(socket, "malformed"),
    }
}

/// Bytes of a packet's data.
fn weight(packet: &Packet) -> usize {
    match &packet.inner {
        PacketData::Connect(Some(data))
        | PacketData::Event(data, _)
        | PacketData::BinaryEvent(data, _)
        | PacketData::EventAck(data, _)
        | PacketData::BinaryAck(data, _) => {
            let Value::Str(text, attachments) = data else {
                return 0;
            };
            text.len() + attachments.iter().flatten().map(Bytes::len).sum::<usize>()
        }
        _ => 0,
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
