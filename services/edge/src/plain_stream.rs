//! A TCP connection as pingora takes it, and nothing more. pingora's own has buffers of 64 KB, which
//! are one copy more for each byte, and most of the memory of a connection that is open for long.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use async_trait::async_trait;
use pingora::protocols::l4::socket::SocketAddr as PingoraAddress;
use pingora::protocols::raw_connect::ProxyDigest;
use pingora::protocols::{
    GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl,
    TimingDigest, UniqueID,
};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;

/// A TCP connection without buffers.
#[derive(Debug)]
pub(crate) struct PlainStream {
    stream: TcpStream,
    /// Who is at the other end, where the kernel need not be asked, or must not.
    peer: Option<SocketAddr>,
    /// What the proxy library wants to know of it, from when it asks on.
    digest: OnceLock<Arc<SocketDigest>>,
}

impl PlainStream {
    /// A client's connection.
    pub(crate) fn of_client(stream: TcpStream, client: SocketAddr) -> Self {
        Self::new(stream, Some(client))
    }

    /// A connection of our own to somebody.
    pub(crate) fn outgoing(stream: TcpStream) -> Self {
        Self::new(stream, None)
    }

    fn new(stream: TcpStream, peer: Option<SocketAddr>) -> Self {
        Self {
            stream,
            peer,
            digest: OnceLock::new(),
        }
    }

    fn digest(&self) -> Arc<SocketDigest> {
        let digest = SocketDigest::from_raw_fd(self.stream.as_raw_fd());
        if let Some(peer) = self.peer {
            let _first = digest.peer_addr.set(Some(PingoraAddress::Inet(peer)));
        }
        Arc::new(digest)
    }
}

impl AsyncRead for PlainStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for PlainStream {
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

#[async_trait]
impl Shutdown for PlainStream {
    async fn shutdown(&mut self) {
        if let Err(error) = AsyncWriteExt::shutdown(&mut self.stream).await {
            tracing::debug!(%error, "the other side closed the connection first");
        }
    }
}

impl UniqueID for PlainStream {
    fn id(&self) -> i32 {
        self.stream.as_raw_fd()
    }
}

impl Ssl for PlainStream {}

impl Peek for PlainStream {}

impl GetTimingDigest for PlainStream {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        Vec::new()
    }
}

impl GetProxyDigest for PlainStream {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        None
    }
}

impl GetSocketDigest for PlainStream {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        Some(Arc::clone(self.digest.get_or_init(|| self.digest())))
    }
}
