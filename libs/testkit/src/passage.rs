//! A way to a server that a test can shut and open while the server runs on for other tests.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 256;

/// A port that leads to a server while it is open. Shut, it refuses connections and has cut those
/// that were there, as if the server were gone.
#[derive(Debug)]
pub struct Passage {
    address: SocketAddr,
    server: SocketAddr,
    state: State,
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
        let lead = lead(listener, self.server);
        let until_shut = shut.clone();
        accepting.spawn(async move {
            until_shut.run_until_cancelled(lead).await;
        });
        self.state = State::Open(shut, accepting);
        Ok(())
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
async fn lead(listener: TcpListener, server: SocketAddr) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => if let Ok((client, _)) = accepted {
                connections.spawn(pass(client, server));
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn pass(mut client: TcpStream, server: SocketAddr) {
    if let Ok(mut server) = TcpStream::connect(server).await {
        // A connection that breaks is what its ends have to cope with.
        copy_bidirectional(&mut client, &mut server).await.ok();
    }
}
