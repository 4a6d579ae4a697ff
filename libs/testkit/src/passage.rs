//! A way to a server that a test can shut and open while the server runs on for other tests.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 256;
/// Bytes that are passed on at once.
const PIECE: usize = 16 * 1024;

/// A port that leads to a server while it is open. Shut, it refuses connections and has cut those
/// that were there, as if the server were gone.
#[derive(Debug)]
pub struct Passage {
    address: SocketAddr,
    server: SocketAddr,
    state: State,
    held: watch::Sender<bool>,
}

#[derive(Debug)]
enum State {
    /// Bound, so that nobody else gets the port, but not listening.
    Shut(Option<TcpSocket>),
    Open(CancellationToken, JoinSet<()>),
}

impl Passage {
    /// A passage to `port` of this machine, shut to begin with.
    ///
    /// # Errors
    /// No port is free.
    pub fn to(port: u16) -> io::Result<Self> {
        let socket = bound(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        Ok(Self {
            address: socket.local_addr()?,
            server: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
            state: State::Shut(Some(socket)),
            held: watch::Sender::new(false),
        })
    }

    /// The port that clients connect to.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Lets connections through.
    ///
    /// # Errors
    /// The port cannot be listened on.
    pub fn open(&mut self) -> io::Result<()> {
        let State::Shut(socket) = &mut self.state else {
            return Ok(());
        };
        let socket = socket.take().map_or_else(|| bound(self.address), Ok)?;
        let listener = socket.listen(BACKLOG)?;
        let shut = CancellationToken::new();
        let mut accepting = JoinSet::new();
        let lead = lead(listener, self.server, self.held.subscribe());
        let until_shut = shut.clone();
        accepting.spawn(async move {
            until_shut.run_until_cancelled(lead).await;
        });
        self.state = State::Open(shut, accepting);
        Ok(())
    }

    /// Keeps all bytes back while the connections stay, as a server does that hangs.
    pub fn hold(&self) {
        self.held.send_replace(true);
    }

    /// Passes on what was kept back, and everything after it.
    pub fn release(&self) {
        self.held.send_replace(false);
    }

    /// Cuts all connections and refuses further ones.
    ///
    /// # Errors
    /// Another process took the port at this moment.
    pub async fn shut(&mut self) -> io::Result<()> {
        let State::Open(shut, _) = &self.state else {
            return Ok(());
        };
        shut.cancel();
        if let State::Open(_, accepting) = std::mem::replace(&mut self.state, State::Shut(None)) {
            // With the task go its listener and its connections.
            accepting.join_all().await;
        }
        self.state = State::Shut(Some(bound(self.address)?));
        Ok(())
    }
}

fn bound(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    // Connections that were cut a moment ago do not keep the port.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

/// Accepts connections and passes their bytes on, both for as long as the future lives.
async fn lead(listener: TcpListener, server: SocketAddr, held: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => if let Ok((client, _)) = accepted {
                connections.spawn(pass(client, server, held.clone()));
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn pass(client: TcpStream, server: SocketAddr, held: watch::Receiver<bool>) {
    let Ok(server) = TcpStream::connect(server).await else {
        return;
    };
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    // A connection that breaks is what its ends have to cope with.
    let _broken = tokio::try_join!(
        copy(from_client, to_server, held.clone()),
        copy(from_server, to_client, held),
    );
}

async fn copy(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut held: watch::Receiver<bool>,
) -> io::Result<()> {
    let mut piece = BytesMut::with_capacity(PIECE);
    while from.read_buf(&mut piece).await? > 0 {
        held.wait_for(|held| !held)
            .await
            .map_err(io::Error::other)?;
        to.write_all_buf(&mut piece).await?;
        piece.reserve(PIECE);
    }
    to.shutdown().await
}
