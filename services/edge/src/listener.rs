//! Accepts connections and keeps each one going, request after request.
//!
//! The loop is ours, not pingora's, for the sake of the drain: nothing that a client has been
//! promised is dropped, and idle connections get time to hear that they should close.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use bytes::BytesMut;
use pingora::apps::{HttpServerApp, ReusedHttpStream};
use pingora::protocols::http::ServerSession;
use pingora::proxy::HttpProxy;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::client_stream::{ClientStream, Transport, one_request};
use crate::direct::{Client, Next};
use crate::gateway::Gateway;
use crate::passage::Passage;
use crate::plain_stream::PlainStream;
use crate::proxy_protocol;
use crate::tls::Tls;

/// Pause after a failed accept; most often the process is out of file descriptors.
const AFTER_FAILURE: Duration = Duration::from_millis(100);

/// Opens a listener. `::` falls back to IPv4 where the machine has no IPv6.
pub(crate) async fn bind(address: IpAddr, port: u16, setting: &str) -> anyhow::Result<TcpListener> {
    let wanted = SocketAddr::new(address, port);
    let listener = match TcpListener::bind(wanted).await {
        Err(error) if address.is_ipv6() && address.is_unspecified() => {
            tracing::debug!(%error, "no IPv6 here: listening on IPv4");
            TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).await
        }
        result => result,
    };
    listener.with_context(|| format!("cannot listen on {wanted}: set {setting} to a free one"))
}

/// What a connection is after a request.
enum After {
    /// It may bring the next one, of which so much has been read.
    Open(Transport, BytesMut),
    /// A WebSocket.
    Passage(Passage, Transport),
    /// Closed.
    Over,
}

/// What every connection of a listener shares.
#[derive(Clone)]
pub(crate) struct Connections {
    /// Answers what needs no library.
    pub(crate) gateway: Arc<Gateway>,
    /// The same gateway in the proxy library, which answers the rest.
    pub(crate) proxy: Arc<HttpProxy<Gateway>>,
    /// True from the start of the drain on: no connection is kept open after its next answer.
    pub(crate) closing: watch::Receiver<bool>,
    /// How long a client may be silent before a request.
    pub(crate) keep_alive_seconds: u64,
    /// Ends idle connections.
    pub(crate) ended: CancellationToken,
    /// Cuts what is still open.
    pub(crate) cut: CancellationToken,
    /// Counts connections.
    pub(crate) open: TaskTracker,
    /// Whether they begin with the PROXY protocol.
    pub(crate) proxy_protocol: bool,
    /// Makes TLS of them, at the listener for HTTPS.
    pub(crate) tls: Option<Tls>,
}

impl Connections {
    /// Accepts until `stop`, and then once more everything that was waiting already: the client
    /// behind it believes itself connected.
    pub(crate) async fn accept(self: Arc<Self>, listener: TcpListener, stop: CancellationToken) {
        loop {
            let accepted = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => self.serve(stream, peer),
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(AFTER_FAILURE).await;
                }
            }
        }
        if let Err(error) = self.accept_the_rest(listener) {
            tracing::warn!(%error, "connections that were waiting are cut");
        }
    }

    /// Asks the kernel, not the runtime, which may not know yet.
    fn accept_the_rest(self: &Arc<Self>, listener: TcpListener) -> std::io::Result<()> {
        let listener = listener.into_std()?;
        while let Ok((stream, peer)) = listener.accept() {
            stream.set_nonblocking(true)?;
            self.serve(TcpStream::from_std(stream)?, peer);
        }
        Ok(())
    }

    fn serve(self: &Arc<Self>, stream: TcpStream, peer: SocketAddr) {
        let connection = Arc::clone(self);
        self.open.spawn(async move {
            tokio::select! {
                biased;
                () = connection.answer_all(stream, peer) => {}
                () = connection.cut.cancelled() => {}
            }
        });
    }

    /// The way of a connection. What every open one carries is what it needs while it waits for a
    /// request; all else is apart.
    async fn answer_all(&self, stream: TcpStream, peer: SocketAddr) {
        let Some((transport, peer)) = Box::pin(self.begin(stream, peer)).await else {
            return;
        };
        if transport.is_http2() {
            return Box::pin(self.answer_streams(ClientStream::http2(transport))).await;
        }
        let is_tls = self.tls.is_some();
        let (mut transport, mut read) = (transport, BytesMut::new());
        loop {
            let client = Client::new(transport, read);
            let lane = self
                .gateway
                .answer_in_lane(client, peer, is_tls, &self.ended);
            let Next::Other(stream, begun) = lane.await else {
                return;
            };
            match Box::pin(self.answer_other(ClientStream::new(stream, begun))).await {
                After::Open(stream, begun) => (transport, read) = (stream, begun),
                After::Passage(passage, stream) => return Box::pin(passage.run(stream)).await,
                After::Over => return,
            }
        }
    }

    /// What a connection begins with: who is behind it, and TLS.
    async fn begin(
        &self,
        mut stream: TcpStream,
        mut peer: SocketAddr,
    ) -> Option<(Transport, IpAddr)> {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "cannot set TCP_NODELAY");
        }
        if self.proxy_protocol {
            match proxy_protocol::client(&mut stream).await {
                Ok(client) => peer = client.unwrap_or(peer),
                Err(error) => {
                    tracing::debug!(%error, %peer, "a connection without PROXY protocol");
                    return None;
                }
            }
        }
        let stream = PlainStream::of_client(stream, peer);
        let transport = match &self.tls {
            None => Transport::Plain(stream),
            Some(tls) => Transport::Tls(tls.accept(stream).await?),
        };
        Some((transport, peer.ip()))
    }

    /// Has the proxy library answer the next request.
    async fn answer_other(&self, stream: ClientStream) -> After {
        let mut session = ServerSession::new_http1(Box::new(stream));
        // Who has not sent all of it is waited for as long as between two requests.
        session.set_keepalive(Some(self.keep_alive_seconds));
        let answering = self.proxy.process_new_http(session, &self.closing);
        let (next, passage) = one_request(answering).await;
        if let Some((passage, client)) = passage {
            return After::Passage(passage, client);
        }
        let open = next.map(ReusedHttpStream::consume).and_then(|(stream, _)| {
            let stream = stream.into_any().downcast::<ClientStream>().ok()?;
            stream.unwrap()
        });
        match open {
            Some((stream, begun)) => After::Open(stream, begun),
            None => After::Over,
        }
    }
}
