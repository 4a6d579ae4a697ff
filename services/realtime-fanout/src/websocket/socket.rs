//! A websocket that everybody may write to: in the common case directly to the kernel, without
//! waking a task.

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::net::TcpStream;
use tokio::sync::Notify;

use super::outbox::Outbox;
use crate::session::{Frame, Offer};

/// Control frames that may wait on top of what messages may.
const CONTROL: usize = 64;

/// The connection of one client.
pub(crate) struct WebSocket {
    pub(super) stream: TcpStream,
    outbox: Mutex<Outbox>,
    /// Frames that may wait.
    capacity: usize,
    /// Calls the socket's task when something waits, or nothing more can be written.
    pub(super) attention: Notify,
}

impl WebSocket {
    pub(super) fn new(stream: TcpStream, capacity: usize) -> Self {
        Self {
            stream,
            outbox: Mutex::default(),
            capacity,
            attention: Notify::new(),
        }
    }

    /// Writes a frame, or queues it if there is space.
    pub(crate) fn offer(&self, frame: &Frame) -> Offer {
        let mut outbox = self.outbox();
        if outbox.has_ended() {
            return Offer::Gone;
        }
        if !outbox.is_empty() {
            if outbox.len() >= self.capacity {
                return Offer::Full;
            }
            outbox.push(frame.clone());
            return self.write_deferred(&mut outbox);
        }
        let written = match self.stream.try_write(frame.wire()) {
            Ok(written) => written,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            Err(_broken) => {
                outbox.end();
                self.attention.notify_one();
                return Offer::Gone;
            }
        };
        if written < frame.wire().len() {
            outbox.push_rest(frame.clone(), written);
            self.attention.notify_one();
        }
        Offer::Taken
    }

    /// Writes or queues frames in as few system calls as possible. Returns how many were taken,
    /// and what became of the one after them, if there is one.
    pub(crate) fn offer_all(&self, frames: &[Frame]) -> (usize, Offer) {
        let mut outbox = self.outbox();
        if outbox.has_ended() {
            return (0, Offer::Gone);
        }
        let space = self.capacity.saturating_sub(outbox.len());
        let taken = frames.len().min(space);
        for frame in frames.iter().take(taken) {
            outbox.push(frame.clone());
        }
        match self.write_deferred(&mut outbox) {
            Offer::Taken if taken < frames.len() => (taken, Offer::Full),
            Offer::Taken => (taken, Offer::Taken),
            other => (0, other),
        }
    }

    /// Queues a frame that has time until [`WebSocket::flush_deferred`], or until something else is
    /// written.
    pub(crate) fn defer(&self, frame: &Frame) -> Offer {
        let mut outbox = self.outbox();
        if outbox.has_ended() {
            return Offer::Gone;
        }
        if outbox.len() >= self.capacity && self.write_deferred(&mut outbox) == Offer::Gone {
            return Offer::Gone;
        }
        if outbox.len() >= self.capacity {
            return Offer::Full;
        }
        outbox.push(frame.clone());
        Offer::Taken
    }

    /// Writes what had time.
    pub(crate) fn flush_deferred(&self) {
        self.write_deferred(&mut self.outbox());
    }

    /// Writes what waits, unless the kernel takes nothing: the socket's task does it then.
    fn write_deferred(&self, outbox: &mut Outbox) -> Offer {
        if outbox.is_blocked() {
            return Offer::Taken;
        }
        match self.drain(outbox) {
            Ok(true) => Offer::Taken,
            Ok(false) => {
                self.attention.notify_one();
                Offer::Taken
            }
            Err(_broken) => {
                self.attention.notify_one();
                Offer::Gone
            }
        }
    }

    /// Whether so many more frames fit into the queue.
    pub(crate) fn has_space_for(&self, frames: usize) -> bool {
        let outbox = self.outbox();
        !outbox.has_ended() && outbox.len() + frames <= self.capacity
    }

    /// Ends without writing what waits: the client does not read it.
    pub(crate) fn cut(&self) {
        self.outbox().end();
        self.attention.notify_one();
    }

    /// Writes or queues what belongs to the protocol, also where messages find no space. Returns
    /// whether that was possible.
    pub(super) fn control(&self, frame: Frame) -> bool {
        let mut outbox = self.outbox();
        if outbox.has_ended() || outbox.len() >= self.capacity + CONTROL {
            return false;
        }
        outbox.push(frame);
        // Whoever calls this writes before it waits again.
        self.drain(&mut outbox).is_ok()
    }

    /// Writes what waits. Returns whether everything is written.
    pub(super) fn flush(&self) -> io::Result<bool> {
        self.drain(&mut self.outbox())
    }

    /// Whether something waits for the kernel.
    pub(super) fn is_behind(&self) -> bool {
        self.outbox().is_blocked()
    }

    /// Whether nothing more can be written.
    pub(super) fn has_ended(&self) -> bool {
        self.outbox().has_ended()
    }

    fn drain(&self, outbox: &mut Outbox) -> io::Result<bool> {
        let drained = outbox.drain(|slices| self.stream.try_write_vectored(slices));
        if drained.is_err() {
            outbox.end();
        }
        drained
    }

    fn outbox(&self) -> MutexGuard<'_, Outbox> {
        self.outbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
