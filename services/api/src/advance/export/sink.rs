//! The way of a dump to the client: bounded, and given up when the client takes nothing.

use std::time::Duration;

use bytes::Bytes;
use ingot_http::ApiError;
use tokio::sync::mpsc::Sender;

use crate::database::write_string;

/// Bytes that are sent at a time.
const CHUNK: usize = 64 * 1024;

/// Longest wait for a client that takes nothing.
const PATIENCE: Duration = Duration::from_mins(1);

/// What arrives at the other end; an error ends the answer.
pub(super) type Chunk = Result<Bytes, ApiError>;

/// The client went away or stands still: there is nobody to tell.
#[derive(Debug, thiserror::Error)]
#[error("the client is gone")]
pub(super) struct Gone;

/// Where a dump is written to.
#[derive(Debug)]
pub(super) struct Sink {
    sender: Sender<Chunk>,
    buffer: Vec<u8>,
    /// Whether what is written is the inside of a JSON string.
    quoted: bool,
    scratch: String,
}

impl Sink {
    pub(super) fn new(sender: Sender<Chunk>) -> Self {
        Self {
            sender,
            buffer: Vec::with_capacity(CHUNK + CHUNK / 4),
            quoted: false,
            scratch: String::new(),
        }
    }

    /// Begins a JSON string; what is written up to its end becomes its content.
    pub(super) async fn open_string(&mut self) -> Result<(), Gone> {
        self.write("\"").await?;
        self.quoted = true;
        Ok(())
    }

    /// Ends the JSON string.
    pub(super) async fn close_string(&mut self) -> Result<(), Gone> {
        self.quoted = false;
        self.write("\"").await
    }

    /// Writes text.
    pub(super) async fn write(&mut self, text: &str) -> Result<(), Gone> {
        if self.quoted {
            self.scratch.clear();
            write_string(&mut self.scratch, text);
            let inside = self.scratch.as_bytes();
            let inside = inside.get(1..inside.len() - 1).unwrap_or_default();
            self.buffer.extend_from_slice(inside);
        } else {
            self.buffer.extend_from_slice(text.as_bytes());
        }
        if self.buffer.len() >= CHUNK {
            self.flush().await?;
        }
        Ok(())
    }

    /// Sends what is left.
    pub(super) async fn flush(&mut self) -> Result<(), Gone> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let full = std::mem::replace(&mut self.buffer, Vec::with_capacity(CHUNK + CHUNK / 4));
        self.send(Ok(full.into())).await
    }

    /// Ends the answer with an error.
    pub(super) async fn fail(mut self, error: ApiError) {
        self.buffer.clear();
        self.send(Err(error)).await.ok();
    }

    async fn send(&mut self, chunk: Chunk) -> Result<(), Gone> {
        let sent = self.sender.send_timeout(chunk, PATIENCE).await;
        sent.map_err(|_| Gone)
    }
}
