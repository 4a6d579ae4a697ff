//! Sockets to PostgreSQL, over TCP or in the file system.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio_postgres::Config;

/// Anything that carries the protocol: a socket, TLS over one, a pipe in a test.
pub(crate) trait Transport: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Transport for T {}

pub(crate) type Stream = Box<dyn Transport>;

/// Where a server listens.
#[derive(Debug, Clone)]
pub(super) enum Address {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl Address {
    /// Opens a socket. Of `config` only what concerns sockets is looked at.
    pub(super) async fn dial(&self, config: &Config) -> io::Result<Stream> {
        match self {
            Self::Unix(path) => Ok(Box::new(UnixStream::connect(path).await?)),
            Self::Tcp(address) => {
                let stream = TcpStream::connect(address).await?;
                stream.set_nodelay(true)?;
                if config.get_keepalives() {
                    SockRef::from(&stream).set_tcp_keepalive(&keepalive(config))?;
                }
                #[cfg(target_os = "linux")]
                if let Some(limit) = config.get_tcp_user_timeout() {
                    SockRef::from(&stream).set_tcp_user_timeout(Some(*limit))?;
                }
                Ok(Box::new(stream))
            }
        }
    }
}

fn keepalive(config: &Config) -> TcpKeepalive {
    let mut keepalive = TcpKeepalive::new().with_time(config.get_keepalives_idle());
    if let Some(interval) = config.get_keepalives_interval() {
        keepalive = keepalive.with_interval(interval);
    }
    if let Some(retries) = config.get_keepalives_retries() {
        keepalive = keepalive.with_retries(retries);
    }
    keepalive
}
