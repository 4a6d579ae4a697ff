//! Requests whose targets hold bytes that no URI may have, as people type them and many clients
//! send them: `?select=data->>name`, a quote, a name in UTF-8.
//!
//! HTTP libraries refuse such a request before a service hears of it. [`Escaped`] stands between
//! a socket and the library and percent-encodes those bytes (RFC 3986, section 2.1), in request
//! lines of HTTP/1 only. Which bytes are request lines is the business of `requests`; headers and
//! bodies are never changed.

mod requests;
#[cfg(test)]
mod tests;

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use requests::Requests;

/// A server's end of a connection, from which request targets come with their odd bytes escaped.
///
/// Costs a look at each byte of a request's head, and memory only while something is escaped: up to
/// three times what one read brought.
#[derive(Debug)]
pub struct Escaped<S> {
    stream: S,
    requests: Requests,
    /// What was escaped and did not fit into the reader's buffer.
    rest: BytesMut,
}

impl<S> Escaped<S> {
    /// Wraps a connection that nothing was read from so far.
    pub fn new(stream: S) -> Self {
        Self {
            stream,
            requests: Requests::default(),
            rest: BytesMut::new(),
        }
    }

    /// The connection, with what was escaped and nobody has read yet.
    pub fn into_parts(self) -> (S, BytesMut) {
        (self.stream, self.rest)
    }

    /// Wraps a connection of another protocol, on which nothing is changed.
    pub fn untouched(stream: S) -> Self {
        Self {
            requests: Requests::none(),
            ..Self::new(stream)
        }
    }

    /// The connection itself.
    pub const fn get_ref(&self) -> &S {
        &self.stream
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Escaped<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.rest.is_empty() {
            let before = buf.filled().len();
            ready!(Pin::new(&mut this.stream).poll_read(cx, buf))?;
            let read = buf.filled().get(before..).unwrap_or_default();
            let Some(escaped) = this.requests.follow(read) else {
                return Poll::Ready(Ok(()));
            };
            buf.set_filled(before);
            this.rest = escaped;
        }
        let fits = this.rest.len().min(buf.remaining());
        buf.put_slice(&this.rest.split_to(fits));
        if this.rest.is_empty() {
            this.rest = BytesMut::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Escaped<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
