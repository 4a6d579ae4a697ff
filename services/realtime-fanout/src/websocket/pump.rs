//! A socket's task: what the client sends goes to its conversation, and the connection ends in
//! good order.

use std::io::{self, Read, Write};
use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use engineioxide::Str;
use socket2::SockRef;
use tokio::io::Interest;
use tokio::task::yield_now;
use tokio::time::{Instant, sleep, timeout};
use tungstenite::protocol::{Role, WebSocketConfig, WebSocketContext};
use tungstenite::{Error, Message};

use super::socket::WebSocket;
use crate::session::{Frame, Link};
use crate::transport::{MAX_PAYLOAD, PING_INTERVAL, PING_TIMEOUT};

/// Bytes read at once: nearly everything that clients send is shorter.
const READ: usize = 512;
/// Messages that are read before other tasks have their turn.
const AT_ONCE: usize = 32;
/// How long a client may take for what waits when its connection is closed.
const FAREWELL: Duration = Duration::from_secs(5);
/// How long a client may take to close its side.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// The heartbeat, as a whole WebSocket frame.
const PING: &[u8] = b"\x81\x012";
/// A closing frame without a code.
const CLOSE: &[u8] = b"\x88\x00";

/// How a connection ends.
enum End {
    /// We close it.
    Ours,
    /// The client has closed it, or it is broken.
    Theirs,
}

/// Reads and writes until the session or the connection ends; the session is over then.
pub(super) async fn pump(socket: &WebSocket, link: &Link, early: Bytes) {
    let end = Pump::new(socket, link, early).run().await;
    link.closed().cancel();
    if matches!(end, End::Ours) && socket.control(Frame::wire_only(CLOSE)) {
        let _late = timeout(FAREWELL, write_rest(socket)).await;
    }
    socket.cut();
    // Closing with unread bytes would take back what the client has not read yet.
    if SockRef::from(&socket.stream)
        .shutdown(std::net::Shutdown::Write)
        .is_ok()
    {
        let _late = timeout(LAST_WORDS, read_rest(socket)).await;
    }
}

struct Pump<'a> {
    socket: &'a WebSocket,
    link: &'a Link,
    protocol: WebSocketContext,
    /// The client has to answer a heartbeat.
    awaits_pong: bool,
    /// When it has to, or the next heartbeat is due.
    deadline: Instant,
    /// There may be more messages than were read.
    more: bool,
}

impl<'a> Pump<'a> {
    fn new(socket: &'a WebSocket, link: &'a Link, early: Bytes) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(READ)
            .write_buffer_size(0)
            .max_message_size(Some(MAX_PAYLOAD))
            .max_frame_size(Some(MAX_PAYLOAD));
        let protocol =
            WebSocketContext::from_partially_read(early.into(), Role::Server, Some(config));
        Self {
            socket,
            link,
            protocol,
            awaits_pong: false,
            deadline: Instant::now() + PING_INTERVAL,
            more: false,
        }
    }

    async fn run(mut self) -> End {
        // What came with the handshake makes nothing readable.
        if let Some(end) = self.read() {
            return end;
        }
        let mut timer = pin!(sleep(PING_INTERVAL));
        loop {
            let interest = if self.socket.is_behind() {
                Interest::READABLE | Interest::WRITABLE
            } else {
                Interest::READABLE
            };
            tokio::select! {
                () = self.link.closed().cancelled() => return End::Ours,
                () = self.socket.attention.notified() => {}
                () = yield_now(), if self.more => {
                    if let Some(end) = self.read() {
                        return end;
                    }
                }
                ready = self.socket.stream.ready(interest) => {
                    let Ok(ready) = ready else {
                        return End::Theirs;
                    };
                    if ready.is_writable() && self.socket.flush().is_err() {
                        return End::Theirs;
                    }
                    if let Some(end) = self.read() {
                        return end;
                    }
                }
                () = &mut timer => {
                    if !self.beat() {
                        return End::Ours;
                    }
                    timer.as_mut().reset(self.deadline);
                }
            }
            if self.socket.has_ended() {
                return End::Theirs;
            }
        }
    }

    /// Sends a heartbeat, or waits for the next one to be due. Returns whether the client is there.
    fn beat(&mut self) -> bool {
        let now = Instant::now();
        if now < self.deadline {
            return true;
        }
        if self.awaits_pong {
            return false;
        }
        self.awaits_pong = true;
        self.deadline = now + PING_TIMEOUT;
        self.socket.control(Frame::wire_only(PING))
    }

    /// Handles what is there to be read.
    fn read(&mut self) -> Option<End> {
        self.more = false;
        for _ in 0..AT_ONCE {
            let message = match self.protocol.read(&mut Bytewise(self.socket)) {
                Ok(message) => message,
                Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => return None,
                Err(Error::Io(_) | Error::ConnectionClosed | Error::AlreadyClosed) => {
                    return Some(End::Theirs);
                }
                Err(_malformed) => return Some(End::Ours),
            };
            let received = match &message {
                Message::Text(text) => self.text(text.as_str()),
                Message::Binary(bytes) => self.link.receive_binary(bytes.clone()),
                Message::Close(_) => {
                    self.protocol.flush(&mut Bytewise(self.socket)).ok();
                    return Some(End::Theirs);
                }
                Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => Ok(()),
            };
            if let Err(reason) = received {
                metrics::counter!("realtime_disconnects_total", "reason" => reason).increment(1);
                return Some(End::Ours);
            }
        }
        self.more = true;
        None
    }

    /// One Engine.IO packet.
    fn text(&mut self, text: &str) -> Result<(), &'static str> {
        match text.split_at_checked(1) {
            Some(("4", packet)) => self.link.receive_text(Str::copy_from_slice(packet)),
            // Answers to a heartbeat; a client may also ask whether we are there.
            Some(("3" | "2", "")) => {
                if self.awaits_pong {
                    self.awaits_pong = false;
                    self.deadline = Instant::now() + PING_INTERVAL;
                }
                Ok(())
            }
            Some(("1", "")) => Err("closed"),
            _ => Err("malformed"),
        }
    }
}

async fn write_rest(socket: &WebSocket) -> io::Result<()> {
    while !socket.flush()? {
        socket.stream.writable().await?;
    }
    Ok(())
}

async fn read_rest(socket: &WebSocket) -> io::Result<()> {
    loop {
        socket.stream.readable().await?;
        // Not kept while waiting: every socket's task would be larger by it.
        let mut nowhere = [0; READ];
        match socket.stream.try_read(&mut nowhere) {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}

/// The connection as the protocol's state sees it: what it has to say itself, it may always say.
struct Bytewise<'a>(&'a WebSocket);

impl Read for Bytewise<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.stream.try_read(buffer)
    }
}

impl Write for Bytewise<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.control(Frame::wire_only(bytes)) {
            Ok(bytes.len())
        } else {
            Err(io::ErrorKind::BrokenPipe.into())
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
