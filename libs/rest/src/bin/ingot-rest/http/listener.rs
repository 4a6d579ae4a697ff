//! Sockets that listen, and the connections that they take.

use std::convert::Infallible;
use std::fmt;
use std::fs::{self, Permissions};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ::http::Request;
use anyhow::{Context, bail};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use ingot_request_target::Escaped;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio_util::sync::CancellationToken;

use super::Answer;
use super::patient::Patient;

/// Longest time that requests under way get when the server stops.
const DRAIN: Duration = Duration::from_secs(30);
/// Longest time for a request's headers to arrive.
const HEADERS: Duration = Duration::from_secs(30);
/// Longest time that a client may take nothing of its answer.
const STALL: Duration = Duration::from_mins(1);
/// Pause when the system has no more sockets.
const BREATH: Duration = Duration::from_millis(50);

/// A socket that listens.
pub(crate) enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener, PathBuf),
}

impl Listener {
    /// `host` is a name, an address, or one of PostgREST's signs for any address.
    pub(crate) async fn on(host: &str, port: u16) -> anyhow::Result<Self> {
        let any: &[IpAddr] = match host {
            "*" | "*4" | "!4" => &[IpAddr::V4(Ipv4Addr::UNSPECIFIED)],
            "*6" => &[
                IpAddr::V6(Ipv6Addr::UNSPECIFIED),
                IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            ],
            "!6" => &[IpAddr::V6(Ipv6Addr::UNSPECIFIED)],
            name => {
                let listener = TcpListener::bind((name, port)).await;
                return listener
                    .map(Self::Tcp)
                    .with_context(|| format!("cannot listen on {name}:{port}"));
            }
        };
        for address in any {
            if let Ok(listener) = TcpListener::bind((*address, port)).await {
                return Ok(Self::Tcp(listener));
            }
        }
        bail!("cannot listen on port {port}")
    }

    /// A socket in the file system. One that an earlier run left is replaced.
    pub(crate) fn in_file_system(path: &Path, mode: u32) -> anyhow::Result<Self> {
        if fs::metadata(path).is_ok_and(|found| found.file_type().is_socket()) {
            fs::remove_file(path)?;
        }
        let listener = UnixListener::bind(path);
        let listener = listener.with_context(|| format!("cannot listen on {}", path.display()))?;
        fs::set_permissions(path, Permissions::from_mode(mode))?;
        Ok(Self::Unix(listener, path.to_owned()))
    }

    /// Takes connections until `shutdown`, then lets requests under way finish.
    pub(crate) async fn serve<H, F>(self, shutdown: CancellationToken, handle: H)
    where
        H: Fn(Request<Incoming>, String) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Answer> + Send + 'static,
    {
        let connections = GracefulShutdown::new();
        loop {
            let taken = tokio::select! {
                () = shutdown.cancelled() => break,
                taken = self.accept() => taken,
            };
            match taken {
                Ok((stream, peer)) => take(stream, peer, &connections, handle.clone()),
                Err(error) => {
                    crate::say(&format!("Cannot take a connection: {error}"));
                    tokio::time::sleep(BREATH).await;
                }
            }
        }
        tokio::time::timeout(DRAIN, connections.shutdown())
            .await
            .ok();
    }

    async fn accept(&self) -> std::io::Result<(Stream, String)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                stream.set_nodelay(true)?;
                Ok((Box::new(stream), peer.ip().to_string()))
            }
            Self::Unix(listener, _) => {
                let (stream, _) = listener.accept().await?;
                Ok((Box::new(stream), "unix".to_owned()))
            }
        }
    }
}

trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

type Stream = Box<dyn Duplex>;

fn take<H, F>(stream: Stream, peer: String, connections: &GracefulShutdown, handle: H)
where
    H: Fn(Request<Incoming>, String) -> F + Send + Sync + 'static,
    F: Future<Output = Answer> + Send + 'static,
{
    let service = service_fn(move |request| {
        let answer = handle(request, peer.clone());
        async move { Ok::<_, Infallible>(answer.await) }
    });
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS);
    builder.http2().timer(TokioTimer::new());
    let connection = builder
        .serve_connection(
            TokioIo::new(Escaped::new(Patient::new(stream, STALL))),
            service,
        )
        .into_owned();
    let connection = connections.watch(connection);
    tokio::spawn(async move {
        // A client that hangs up or speaks no HTTP is its own affair.
        connection.await.ok();
    });
}

impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(listener) => match listener.local_addr() {
                Ok(address) => write!(f, "{address}"),
                Err(error) => write!(f, "{error}"),
            },
            Self::Unix(_, path) => write!(f, "{}", path.display()),
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Self::Unix(_, path) = self {
            fs::remove_file(path).ok();
        }
    }
}
