//! An Engine.IO session, whatever carries it: decoding, the inbox of its conversation, its end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use engineioxide::socket::Sid;
use engineioxide::{DisconnectReason, Str};
use ingot_project::Project;
use socketioxide_core::packet::Packet;
use socketioxide_core::parser::{Parse, ParseConfig, ParseError, ParserState};
use socketioxide_parser_common::CommonParser;
use tokio::sync::mpsc::error::TrySendError;
use tokio_util::sync::CancellationToken;

use super::frame::{Frame, is_idle};
use super::inbox::Inbox;
use crate::websocket::WebSocket;

/// Most attachments of one packet, and their size together: as much as a frame may have.
const MAX_ATTACHMENTS: usize = 16;
const MAX_ATTACHMENT_BYTES: usize = 1_000_000;

/// A session of the library.
pub(crate) type EngineSocket = engineioxide::Socket<Arc<Link>>;

/// Why a session has to end; a word for metrics.
pub(crate) type Reason = &'static str;

/// What became of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Offer {
    /// It is sent or queued.
    Taken,
    /// The queue is full.
    Full,
    /// The client is not there, or not there yet.
    Gone,
}

/// An Engine.IO session of this node; clones are the same session.
#[derive(Clone)]
pub(crate) struct Session {
    pub(crate) id: Sid,
    pub(crate) project: Arc<Project>,
    pub(crate) link: Arc<Link>,
    carrier: Carrier,
}

#[derive(Clone)]
enum Carrier {
    /// Polling, and websockets that began as polling.
    Library(Arc<EngineSocket>),
    /// What was a websocket from the beginning.
    Websocket(Arc<WebSocket>),
}

impl Session {
    /// A session that the library carries.
    pub(crate) fn of_library(socket: Arc<EngineSocket>, project: Arc<Project>) -> Self {
        Self {
            id: socket.id,
            project,
            link: Arc::clone(&socket.data),
            carrier: Carrier::Library(socket),
        }
    }

    /// A session of its own websocket.
    pub(crate) fn of_websocket(socket: Arc<WebSocket>, project: Arc<Project>) -> Self {
        Self {
            id: Sid::new(),
            project,
            link: Arc::default(),
            carrier: Carrier::Websocket(socket),
        }
    }

    /// Sends a frame, or queues it if there is space.
    pub(crate) fn offer(&self, frame: &Frame) -> Offer {
        match &self.carrier {
            Carrier::Websocket(socket) => socket.offer(frame),
            Carrier::Library(socket) => match socket.emit(frame.text().clone()) {
                Ok(()) => Offer::Taken,
                Err(TrySendError::Full(_)) => Offer::Full,
                Err(TrySendError::Closed(_)) => Offer::Gone,
            },
        }
    }

    /// Queues a frame that has time until [`Session::flush_deferred`].
    pub(crate) fn defer(&self, frame: &Frame) -> Offer {
        match &self.carrier {
            Carrier::Websocket(socket) => socket.defer(frame),
            Carrier::Library(_) => self.offer(frame),
        }
    }

    /// Writes what had time.
    pub(crate) fn flush_deferred(&self) {
        if let Carrier::Websocket(socket) = &self.carrier {
            socket.flush_deferred();
        }
    }

    /// Sends frames at once, or queues them. Returns how many were taken, and what became of the
    /// one after them, if there is one.
    pub(crate) fn offer_all(&self, frames: &[Frame]) -> (usize, Offer) {
        if let (Carrier::Websocket(socket), [_, _, ..]) = (&self.carrier, frames) {
            return socket.offer_all(frames);
        }
        for (taken, frame) in frames.iter().enumerate() {
            let offer = self.offer(frame);
            if offer != Offer::Taken {
                return (taken, offer);
            }
        }
        (frames.len(), Offer::Taken)
    }

    /// Whether so many more frames fit into the queue.
    pub(crate) fn has_space_for(&self, frames: usize) -> bool {
        match &self.carrier {
            Carrier::Websocket(socket) => socket.has_space_for(frames),
            Carrier::Library(socket) => {
                let mut places = Vec::with_capacity(frames);
                while places.len() < frames {
                    match socket.reserve() {
                        Ok(place) => places.push(place),
                        Err(_) => return false,
                    }
                }
                true
            }
        }
    }

    /// Closes the transport after what waits to be sent; the client may connect again.
    pub(crate) fn close(&self) {
        match &self.carrier {
            // Its task sees the end below, and says it to the client.
            Carrier::Websocket(_) => self.link.closed.cancel(),
            Carrier::Library(socket) => socket.close(DisconnectReason::ClosingServer),
        }
    }

    /// Closes the transport, also while the client does not read; it may connect again.
    pub(crate) fn disconnect(&self, reason: Reason) {
        if self.link.closed.is_cancelled() {
            return;
        }
        metrics::counter!("realtime_disconnects_total", "reason" => reason).increment(1);
        if let Carrier::Websocket(socket) = &self.carrier
            && matches!(reason, "slow" | "flood")
        {
            socket.cut();
        }
        // At once: the library tells of the end only when the transport has let go, which a client
        // that stopped reading can put off.
        self.link.closed.cancel();
        if let Carrier::Library(socket) = &self.carrier {
            socket.close(DisconnectReason::TransportClose);
        }
    }
}

/// The state of one session.
#[derive(Debug, Default)]
pub(crate) struct Link {
    parser: ParserState,
    inbox: Inbox,
    joined: AtomicBool,
    closed: CancellationToken,
}

impl Link {
    /// The next packet of the client.
    pub(super) async fn next(&self) -> Packet {
        self.inbox.take().await
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

    /// Hands a text message to the conversation.
    ///
    /// # Errors
    /// The session has to end.
    pub(crate) fn receive_text(&self, message: Str) -> Result<(), Reason> {
        match is_idle(message.as_str()) {
            Some(true) if self.is_joined() => Ok(()),
            Some(_) => Err("malformed"),
            None => self.receive(CommonParser.decode_str(&limits(), &self.parser, message)),
        }
    }

    /// Hands an attachment to the packet that announced it.
    ///
    /// # Errors
    /// The session has to end.
    pub(crate) fn receive_binary(&self, attachment: Bytes) -> Result<(), Reason> {
        self.receive(CommonParser.decode_bin(&limits(), &self.parser, attachment))
    }

    fn receive(&self, decoded: Result<Packet, ParseError>) -> Result<(), Reason> {
        match decoded {
            Ok(packet) => self.inbox.put(packet).then_some(()).ok_or("flood"),
            Err(ParseError::NeedsMoreBinaryData) => Ok(()),
            Err(_) => Err("malformed"),
        }
    }
}

fn limits() -> ParseConfig {
    ParseConfig {
        max_incoming_binary_buf_size: MAX_ATTACHMENT_BYTES,
        max_incoming_binaries: MAX_ATTACHMENTS,
        ..ParseConfig::default()
    }
}
