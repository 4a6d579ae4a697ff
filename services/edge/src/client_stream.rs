//! A client's connection with a write buffer, so that an answer's head and body leave in one
//! segment and one system call. pingora flushes it at the end of every answer and before it waits.
//!
//! Requests that are no sound HTTP are refused by pingora before the gateway hears of them, with a
//! bare status. Here, on its way out, that answer gets the contract's envelope.

use std::cell::{Cell, RefCell};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use async_trait::async_trait;
use bytes::BytesMut;
use ingot_request_target::Escaped;
use pingora::protocols::raw_connect::ProxyDigest;
use pingora::protocols::tls::SslDigest;
use pingora::protocols::{
    GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl,
    TimingDigest, UniqueID,
};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, BufWriter, ReadBuf};
use tokio_rustls::server::TlsStream;

use crate::early::Early;
use crate::passage::Passage;
use crate::plain_stream::PlainStream;
use crate::{answer, http2};

/// Holds the head of an answer and a small body; larger writes go past it.
const BUFFER: usize = 2048;

tokio::task_local! {
    /// The request that this connection's task is at.
    static REQUEST: Request;
}

#[derive(Default)]
struct Request {
    /// The gateway has got it.
    understood: Cell<bool>,
    /// What it has become, when it was a WebSocket's handshake, and the client's side of that once
    /// pingora has let go of it.
    passage: RefCell<Option<Passage>>,
    client: RefCell<Option<Transport>>,
}

/// Reads and answers one request of a connection; until [`understood`], what is written is a
/// refusal. Returns also what has to go on, when it was a WebSocket's handshake.
pub(crate) async fn one_request<T>(
    answering: impl Future<Output = T>,
) -> (T, Option<(Passage, Transport)>) {
    let answered = async {
        let outcome = answering.await;
        let passage = REQUEST
            .try_with(|request| request.passage.take().zip(request.client.take()))
            .unwrap_or_default();
        (outcome, passage)
    };
    REQUEST.scope(Request::default(), answered).await
}

/// The request that this task is at was sound HTTP.
pub(crate) fn understood() {
    // Elsewhere, nobody asks.
    let _outside = REQUEST.try_with(|request| request.understood.set(true));
}

/// The request that this task is at has become a WebSocket: when pingora drops the client's
/// connection, the passage goes on with it.
pub(crate) fn becomes(passage: Passage) {
    let _outside = REQUEST.try_with(|request| request.passage.replace(Some(passage)));
}

fn is_passage() -> bool {
    REQUEST
        .try_with(|request| request.passage.borrow().is_some())
        .unwrap_or(false)
}

fn is_refusal() -> bool {
    REQUEST
        .try_with(|request| !request.understood.get())
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
    Plain(PlainStream),
    /// TLS over TCP.
    Tls(Box<TlsStream<PlainStream>>),
}

impl Transport {
    /// Whether client and edge have agreed on HTTP/2 (ALPN, RFC 7301).
    pub(crate) fn is_http2(&self) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::Tls(stream) => stream.get_ref().1.alpn_protocol() == Some(http2::PROTOCOL),
        }
    }

    fn socket(&self) -> &PlainStream {
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
    /// None at the very end, when a passage has it.
    stream: Option<BufWriter<Escaped<Early<Transport>>>>,
    /// What the proxy is told about TLS: that it is there.
    tls: Option<Arc<SslDigest>>,
    /// The envelope is on its way; the connection ends with it.
    refused: bool,
}

impl ClientStream {
    /// Buffers what is written to `stream`, on which HTTP/1 is spoken. `read` has been read of it,
    /// from the beginning of a request on.
    pub(crate) fn new(stream: Transport, read: BytesMut) -> Self {
        Self::of(stream, read, Escaped::new)
    }

    /// The same for HTTP/2.
    pub(crate) fn http2(stream: Transport) -> Self {
        Self::of(stream, BytesMut::new(), Escaped::untouched)
    }

    /// What was wrapped, and what of a next request has been read; nothing when an answer is still
    /// on its way.
    pub(crate) fn unwrap(mut self) -> Option<(Transport, BytesMut)> {
        let stream = self.stream.take().filter(|it| it.buffer().is_empty())?;
        Some(into_parts(stream))
    }

    fn of(
        stream: Transport,
        read: BytesMut,
        escaped: fn(Early<Transport>) -> Escaped<Early<Transport>>,
    ) -> Self {
        let tls = match &stream {
            Transport::Plain(_) => None,
            Transport::Tls(_) => Some(Arc::new(SslDigest::new("", "", None, None, Vec::new()))),
        };
        Self {
            stream: Some(BufWriter::with_capacity(
                BUFFER,
                escaped(Early::new(stream, read)),
            )),
            tls,
            refused: false,
        }
    }

    fn socket(&self) -> Option<&PlainStream> {
        Some(self.stream.as_ref()?.get_ref().get_ref().get_ref().socket())
    }

    fn stream(&mut self) -> io::Result<Pin<&mut BufWriter<Escaped<Early<Transport>>>>> {
        let stream = self.stream.as_mut().map(Pin::new);
        stream.ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

/// The connection, and what was read of it and not asked for. What has been written is lost.
fn into_parts(stream: BufWriter<Escaped<Early<Transport>>>) -> (Transport, BytesMut) {
    let (early, mut read) = stream.into_inner().into_parts();
    let (transport, after) = early.into_parts();
    read.extend_from_slice(&after);
    (transport, read)
}

impl Drop for ClientStream {
    /// Leaves the connection to the passage that goes on with it.
    fn drop(&mut self) {
        let Some(stream) = self.stream.take() else {
            return;
        };
        let _outside = REQUEST.try_with(|request| {
            let mut passage = request.passage.borrow_mut();
            let Some(passage) = passage.as_mut() else {
                return;
            };
            // The answer to the handshake, if it has not left.
            let unsent = stream.buffer().len();
            if unsent > 0 {
                let mut first = BytesMut::from(stream.buffer());
                first.extend_from_slice(&passage.to_client);
                passage.to_client = first;
            }
            let (client, read) = into_parts(stream);
            passage.to_node.extend_from_slice(&read);
            request.client.replace(Some(client));
        });
    }
}

impl AsyncRead for ClientStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.stream()?.poll_read(cx, buf)
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
                ready!(self.stream()?.poll_write(cx, &answer))?;
                self.refused = true;
            }
            return Poll::Ready(Ok(buf.len()));
        }
        self.stream()?.poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream()?.poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if is_passage() {
            return Poll::Ready(Ok(()));
        }
        self.stream()?.poll_shutdown(cx)
    }
}

#[async_trait]
impl Shutdown for ClientStream {
    async fn shutdown(&mut self) {
        if is_passage() {
            return;
        }
        let Some(stream) = &mut self.stream else {
            return;
        };
        if let Err(error) = AsyncWriteExt::shutdown(stream).await {
            tracing::debug!(%error, "the client closed the connection first");
        }
    }
}

impl UniqueID for ClientStream {
    fn id(&self) -> i32 {
        self.socket().map_or(-1, UniqueID::id)
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
        self.socket()
            .map_or_else(Vec::new, GetTimingDigest::get_timing_digest)
    }
}

impl GetProxyDigest for ClientStream {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        None
    }
}

impl GetSocketDigest for ClientStream {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        self.socket()?.get_socket_digest()
    }
}
