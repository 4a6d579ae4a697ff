//! A client's connection with a write buffer, so that an answer's head and body leave in one
//! segment and one system call. pingora flushes it at the end of every answer and before it waits.
//!
//! Requests that are no sound HTTP are refused by pingora before the gateway hears of them, with a
//! bare status. Here, on its way out, that answer gets the contract's envelope.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use async_trait::async_trait;
use ingot_request_target::Escaped;
use pingora::protocols::l4::stream::Stream;
use pingora::protocols::raw_connect::ProxyDigest;
use pingora::protocols::tls::SslDigest;
use pingora::protocols::{
    GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl,
    TimingDigest, UniqueID,
};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, BufWriter, ReadBuf};
use tokio_rustls::server::TlsStream;

use crate::answer;

/// Holds the head of an answer and a small body; larger writes go past it.
const BUFFER: usize = 2048;

tokio::task_local! {
    /// Whether the gateway has got the request that this connection's task is at.
    static UNDERSTOOD: Cell<bool>;
}

/// Reads and answers one request of a connection; until [`understood`], what is written is a
/// refusal.
pub(crate) async fn one_request<T>(answering: impl Future<Output = T>) -> T {
    UNDERSTOOD.scope(Cell::new(false), answering).await
}

/// The request that this task is at was sound HTTP.
pub(crate) fn understood() {
    // Elsewhere, nobody asks.
    let _outside = UNDERSTOOD.try_with(|understood| understood.set(true));
}

fn is_refusal() -> bool {
    UNDERSTOOD
        .try_with(|understood| !understood.get())
        .unwrap_or(false)
}

/// What carries the bytes.
#[derive(Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "there is one per connection, and the large one is the common one"
)]
pub(crate) enum Transport {
    /// TCP.
    Plain(Stream),
    /// TLS over TCP.
    Tls(Box<TlsStream<Stream>>),
}

impl Transport {
    fn socket(&self) -> &Stream {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => stream.get_ref().0,
        }
    }
}

impl AsyncRead for Transport {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Transport {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

/// The connection.
#[derive(Debug)]
pub(crate) struct ClientStream {
    stream: BufWriter<Escaped<Transport>>,
    /// What the proxy is told about TLS: that it is there.
    tls: Option<Arc<SslDigest>>,
    /// The envelope is on its way; the connection ends with it.
    refused: bool,
}

impl ClientStream {
    /// Buffers what is written to `stream`.
    pub(crate) fn new(stream: Transport) -> Self {
        let tls = match &stream {
            Transport::Plain(_) => None,
            Transport::Tls(_) => Some(Arc::new(SslDigest::new("", "", None, None, Vec::new()))),
        };
        Self {
            stream: BufWriter::with_capacity(BUFFER, Escaped::new(stream)),
            tls,
            refused: false,
        }
    }

    fn socket(&self) -> &Stream {
        self.stream.get_ref().get_ref().socket()
    }
}

impl AsyncRead for ClientStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for ClientStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if is_refusal() {
            if !self.refused {
                // It fits into the buffer, which is empty between two answers: never cut.
                let answer = answer::with_envelope(buf);
                ready!(Pin::new(&mut self.stream).poll_write(cx, &answer))?;
                self.refused = true;
            }
            return Poll::Ready(Ok(buf.len()));
        }
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[async_trait]
impl Shutdown for ClientStream {
    async fn shutdown(&mut self) {
        if let Err(error) = AsyncWriteExt::shutdown(&mut self.stream).await {
            tracing::debug!(%error, "the client closed the connection first");
        }
    }
}

impl UniqueID for ClientStream {
    fn id(&self) -> i32 {
        self.socket().id()
    }
}

impl Ssl for ClientStream {
    fn get_ssl_digest(&self) -> Option<Arc<SslDigest>> {
        self.tls.clone()
    }
}

impl Peek for ClientStream {}

impl GetTimingDigest for ClientStream {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        self.socket().get_timing_digest()
    }
}

impl GetProxyDigest for ClientStream {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        None
    }
}

impl GetSocketDigest for ClientStream {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        self.socket().get_socket_digest()
    }
}
