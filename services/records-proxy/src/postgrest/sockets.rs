//! Keep-alive connections to PostgREST, one request at a time on each.
//!
//! A pool of our own, because the retry rules depend on something that general HTTP clients hide:
//! whether a request went out on a connection that had served before, and whether any byte of an
//! answer came back. Nothing here decides about retries.

use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::BoxError;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep};

/// How many connections, how long an unused one is kept, and how long an answer may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Most connections at once; further requests wait.
    pub(super) max: usize,
    /// Most of them kept while unused.
    pub(super) max_free: usize,
    /// How long one is kept unused.
    pub(super) free_timeout: Duration,
    /// Longest time for one attempt, including the wait for a connection, until the head of the
    /// answer is there; then the longest pause inside its body.
    pub(super) answer_timeout: Duration,
}

/// Why a request got no answer.
#[derive(Debug, thiserror::Error)]
#[error("{cause}")]
pub(super) struct SendError {
    /// How far the request can have come.
    pub(super) stage: Stage,
    /// What happened, for the log only.
    pub(super) cause: BoxError,
}

/// How far a request that got no answer can have come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// The connection was never established: PostgREST has not seen the request.
    NotConnected,
    /// No answer in time. PostgREST may still execute the request.
    TimedOut,
    /// The connection broke. PostgREST may have executed the request.
    Broken {
        /// The connection had served before and broke before the first byte of this answer:
        /// nearly always PostgREST had closed it while it was unused.
        stale: bool,
    },
}

/// The pool. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct Sockets(Arc<Pool>);

#[derive(Debug)]
struct Pool {
    /// `host:port`, resolved anew for each connection.
    address: String,
    limits: Limits,
    in_use: Arc<Semaphore>,
    free: Mutex<Free>,
}

#[derive(Debug, Default)]
struct Free {
    /// Longest unused first.
    connections: Vec<(Connection, Instant)>,
    /// Whether a task watches for connections that are unused too long.
    watched: bool,
}

#[derive(Debug)]
struct Connection {
    sender: SendRequest<Full<Bytes>>,
    /// Bytes read from the socket so far.
    received: Arc<AtomicU64>,
}

impl Sockets {
    /// A pool without connections.
    pub(super) fn new(address: String, limits: Limits) -> Self {
        Self(Arc::new(Pool {
            address,
            limits,
            in_use: Arc::new(Semaphore::new(limits.max)),
            free: Mutex::default(),
        }))
    }

    /// Sends `request` once, on a kept connection if there is one, and waits for the head of the
    /// answer. The connection returns to the pool when the answer's body was read to its end.
    pub(super) async fn send(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Answer>, SendError> {
        let answer_timeout = self.0.limits.answer_timeout;
        let sending = tokio::time::timeout(answer_timeout, self.send_untimed(request));
        sending.await.unwrap_or_else(|_| {
            Err(SendError {
                stage: Stage::TimedOut,
                cause: format!("no answer within {answer_timeout:?}").into(),
            })
        })
    }

    async fn send_untimed(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Answer>, SendError> {
        let permit = Arc::clone(&self.0.in_use)
            .acquire_owned()
            .await
            .map_err(not_connected)?;
        let (mut connection, reused) = match self.0.take_free().await {
            Some(connection) => (connection, true),
            None => (self.0.connect().await?, false),
        };
        let before = connection.received.load(Ordering::Relaxed);
        match connection.sender.send_request(request).await {
            Ok(response) => Ok(response.map(|incoming| Answer {
                incoming,
                stalled: Box::pin(tokio::time::sleep(self.0.limits.answer_timeout)),
                stall_timeout: self.0.limits.answer_timeout,
                lease: Some(Lease {
                    connection,
                    pool: Arc::clone(&self.0),
                    _permit: permit,
                }),
            })),
            Err(error) => {
                let silent = connection.received.load(Ordering::Relaxed) == before;
                Err(SendError {
                    stage: Stage::Broken {
                        stale: reused && silent,
                    },
                    cause: error.into(),
                })
            }
        }
    }

    /// Whether PostgREST accepts connections. Opens one and closes it again.
    pub(super) async fn reachable(&self) -> Result<(), SendError> {
        self.0.connect().await.map(drop)
    }
}

fn not_connected(error: impl std::error::Error + Send + Sync + 'static) -> SendError {
    SendError {
        stage: Stage::NotConnected,
        cause: error.into(),
    }
}

impl Pool {
    async fn connect(&self) -> Result<Connection, SendError> {
        let stream = TcpStream::connect(&self.address)
            .await
            .map_err(not_connected)?;
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "cannot set TCP_NODELAY");
        }
        let received = Arc::new(AtomicU64::new(0));
        let stream = Metered {
            stream,
            received: Arc::clone(&received),
        };
        let (sender, driver) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(not_connected)?;
        // Ends when the sender is dropped or the socket closes; errors reach the sender.
        tokio::spawn(async move { driver.await.ok() });
        Ok(Connection { sender, received })
    }

    /// The connection that was in use last, if one is still open.
    async fn take_free(&self) -> Option<Connection> {
        loop {
            let (mut connection, _) = self.free().connections.pop()?;
            if !connection.sender.is_closed() && connection.sender.ready().await.is_ok() {
                return Some(connection);
            }
        }
    }

    fn keep(self: &Arc<Self>, connection: Connection) {
        let mut free = self.free();
        if connection.sender.is_closed() || free.connections.len() >= self.limits.max_free {
            return;
        }
        free.connections.push((connection, Instant::now()));
        if !free.watched {
            free.watched = true;
            let tick = (self.limits.free_timeout / 4).max(Duration::from_millis(10));
            tokio::spawn(close_unused(Arc::downgrade(self), tick));
        }
    }

    fn free(&self) -> MutexGuard<'_, Free> {
        // The list is whole after every statement, so a panic elsewhere cannot spoil it.
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Closes connections that were unused too long; ends when there are none left.
async fn close_unused(pool: Weak<Pool>, tick: Duration) {
    loop {
        tokio::time::sleep(tick).await;
        let Some(pool) = pool.upgrade() else { return };
        let mut free = pool.free();
        let keep = pool.limits.free_timeout;
        free.connections
            .retain(|(connection, since)| !connection.sender.is_closed() && since.elapsed() < keep);
        if free.connections.is_empty() {
            free.watched = false;
            return;
        }
    }
}

/// The body of an answer. It holds its connection until it was read to the end; dropped earlier,
/// it closes the connection, because the rest of the answer is still in it.
#[derive(Debug)]
pub(super) struct Answer {
    incoming: Incoming,
    lease: Option<Lease>,
    stall_timeout: Duration,
    /// Fires when the body stalls for that long.
    stalled: Pin<Box<Sleep>>,
}

#[derive(Debug)]
struct Lease {
    connection: Connection,
    pool: Arc<Pool>,
    _permit: OwnedSemaphorePermit,
}

impl Answer {
    fn give_back(&mut self) {
        if let Some(Lease {
            connection, pool, ..
        }) = self.lease.take()
        {
            pool.keep(connection);
        }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match Pin::new(&mut self.incoming).poll_frame(cx) {
            Poll::Ready(None) => {
                self.give_back();
                Poll::Ready(None)
            }
            Poll::Ready(Some(Ok(frame))) => {
                if self.incoming.is_end_stream() {
                    self.give_back();
                }
                let next = Instant::now() + self.stall_timeout;
                self.stalled.as_mut().reset(next);
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(error.into()))),
            Poll::Pending => self.stalled.as_mut().poll(cx).map(|()| {
                let error = format!("the answer stalled for {:?}", self.stall_timeout);
                Some(Err(error.into()))
            }),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        // A body without content is at its end without ever being polled.
        if self.incoming.is_end_stream() {
            self.give_back();
        }
    }
}

/// A socket that counts what it receives.
struct Metered {
    stream: TcpStream,
    received: Arc<AtomicU64>,
}

impl AsyncRead for Metered {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buffer);
        let read = buffer.filled().len().saturating_sub(before);
        self.received.fetch_add(read as u64, Ordering::Relaxed);
        polled
    }
}

impl AsyncWrite for Metered {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
