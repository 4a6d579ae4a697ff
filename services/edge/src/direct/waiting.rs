//! Those who wait for an answer: they may leave, and they are not kept waiting for ever.

use std::io;
use std::mem::MaybeUninit;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::BytesMut;
use futures::future::poll_fn;
use pingora::proxy::Session;
use pingora::{Error, ErrorType, Result};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until, timeout};

use crate::client_stream::Transport;

/// Somebody who waits.
pub(super) trait Asker {
    /// Waits for `work`, at most for `limit`; after that, `None`.
    ///
    /// # Errors
    /// Nobody waits any more.
    fn wait<T>(
        &mut self,
        limit: Duration,
        work: impl Future<Output = T> + Send,
    ) -> impl Future<Output = Result<Option<T>>>;
}

impl Asker for Session {
    async fn wait<T>(
        &mut self,
        limit: Duration,
        work: impl Future<Output = T> + Send,
    ) -> Result<Option<T>> {
        tokio::select! {
            biased;
            done = timeout(limit, work) => Ok(done.ok()),
            error = leaves(self) => Err(error),
        }
    }
}

/// Ends when nobody waits for the answer any more.
async fn leaves(session: &mut Session) -> Box<Error> {
    match session.as_downstream_mut().read_body_or_idle(true).await {
        Err(error) => error.into_down(),
        // It says so by an error; anything else is no news.
        Ok(_) => std::future::pending().await,
    }
}

/// Bytes that are read from a client at once. Nothing is kept for one that says nothing.
const ROOM: usize = 4 << 10;
/// With so many bytes of later requests, no more are read before the answer.
const AHEAD: usize = 16 << 10;

/// A client's connection in the lane.
pub(crate) struct Client {
    transport: Transport,
    /// What was read of it and belongs to no answered request.
    pub(super) read: BytesMut,
    alarm: Alarm,
}

impl Client {
    /// A client of which `read` is known already.
    pub(crate) fn new(transport: Transport, read: BytesMut) -> Self {
        Self {
            transport,
            read,
            alarm: Alarm::new(),
        }
    }

    /// The connection, and what was read and not answered.
    pub(crate) fn into_parts(self) -> (Transport, BytesMut) {
        (self.transport, self.read)
    }

    /// Waits until more of a request has come; false when the client leaves, says nothing until
    /// `deadline`, or `ended` ends.
    pub(super) async fn more(
        &mut self,
        deadline: Instant,
        mut ended: Pin<&mut impl Future<Output = ()>>,
    ) -> bool {
        poll_fn(|cx| {
            match self.poll_more(cx) {
                Poll::Ready(read) => return Poll::Ready(read.is_ok_and(|read| read > 0)),
                Poll::Pending => {}
            }
            let over = ended.as_mut().poll(cx).is_ready();
            if over || self.alarm.poll(cx, deadline).is_ready() {
                return Poll::Ready(false);
            }
            Poll::Pending
        })
        .await
    }

    /// Sends all of it, waiting no longer than `limit` at a time.
    pub(super) async fn send(&mut self, mut bytes: &[u8], limit: Duration) -> io::Result<()> {
        let mut deadline = None;
        poll_fn(|cx| {
            while !bytes.is_empty() {
                let Poll::Ready(sent) = Pin::new(&mut self.transport).poll_write(cx, bytes)? else {
                    return self.poll_late(cx, &mut deadline, limit);
                };
                if sent == 0 {
                    return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
                }
                bytes = bytes.get(sent..).unwrap_or_default();
                deadline = None;
            }
            match Pin::new(&mut self.transport).poll_flush(cx) {
                Poll::Ready(flushed) => Poll::Ready(flushed),
                Poll::Pending => self.poll_late(cx, &mut deadline, limit),
            }
        })
        .await
    }

    /// Says that nothing will follow.
    pub(super) async fn close(&mut self, limit: Duration) {
        let closing = poll_fn(|cx| Pin::new(&mut self.transport).poll_shutdown(cx));
        let _gone = timeout(limit, closing).await;
    }

    fn poll_late(
        &mut self,
        cx: &mut Context<'_>,
        deadline: &mut Option<Instant>,
        limit: Duration,
    ) -> Poll<io::Result<()>> {
        let deadline = *deadline.get_or_insert_with(|| Instant::now() + limit);
        ready!(self.alarm.poll(cx, deadline));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut space = [MaybeUninit::uninit(); ROOM];
        let mut read = ReadBuf::uninit(&mut space);
        ready!(Pin::new(&mut self.transport).poll_read(cx, &mut read))?;
        self.read.extend_from_slice(read.filled());
        Poll::Ready(Ok(read.filled().len()))
    }

    /// Reads what the client sends meanwhile, within bounds; ready when it has left.
    fn poll_leaves(&mut self, cx: &mut Context<'_>) -> Poll<Box<Error>> {
        while self.read.len() < AHEAD {
            match ready!(self.poll_more(cx)) {
                Ok(0) => {
                    let left = Error::explain(ErrorType::ConnectionClosed, "the client has left");
                    return Poll::Ready(left.into_down());
                }
                Ok(_) => {}
                Err(error) => {
                    let broken = Error::because(ErrorType::ReadError, "the client has left", error);
                    return Poll::Ready(broken.into_down());
                }
            }
        }
        Poll::Pending
    }
}

impl Asker for Client {
    async fn wait<T>(
        &mut self,
        limit: Duration,
        work: impl Future<Output = T> + Send,
    ) -> Result<Option<T>> {
        let (mut work, mut deadline) = (pin!(work), None);
        poll_fn(|cx| {
            if let Poll::Ready(done) = work.as_mut().poll(cx) {
                return Poll::Ready(Ok(Some(done)));
            }
            if let Poll::Ready(error) = self.poll_leaves(cx) {
                return Poll::Ready(Err(error));
            }
            let deadline = *deadline.get_or_insert_with(|| Instant::now() + limit);
            self.alarm.poll(cx, deadline).map(|()| Ok(None))
        })
        .await
    }
}

/// One timer for all waits of a connection, one after the other. It is set anew when it goes off, not
/// with every wait: most end long before.
struct Alarm(Pin<Box<Sleep>>);

impl Alarm {
    fn new() -> Self {
        Self(Box::pin(sleep_until(
            Instant::now() + Duration::from_hours(1),
        )))
    }

    fn poll(&mut self, cx: &mut Context<'_>, deadline: Instant) -> Poll<()> {
        if self.0.deadline() > deadline {
            self.0.as_mut().reset(deadline);
        }
        while self.0.as_mut().poll(cx).is_ready() {
            if self.0.deadline() >= deadline {
                return Poll::Ready(());
            }
            self.0.as_mut().reset(deadline);
        }
        Poll::Pending
    }
}
