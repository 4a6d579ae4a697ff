//! HTTP/2 towards clients (RFC 9113): many requests at once on one connection.
//!
//! Each request is answered like one of HTTP/1. The connection is driven here, for the sake of the
//! drain: its client hears at once that it should bring no more (GOAWAY), and what it has brought is
//! answered.

use std::sync::Arc;
use std::time::Duration;

use pingora::apps::HttpServerApp;
use pingora::protocols::http::ServerSession;
use pingora::protocols::http::v2::server::{H2Accept, H2Options, HttpSession, handshake};
use pingora::protocols::{Digest, GetProxyDigest, GetSocketDigest, GetTimingDigest, Ssl};
use tokio_util::task::TaskTracker;

use crate::admission::MAX_HEAD;
use crate::client_stream::ClientStream;
use crate::http2_stream::PatientStream;
use crate::listener::Connections;

/// As offered in a TLS handshake (RFC 9113 §3.1).
pub(crate) const PROTOCOL: &[u8] = b"h2";

/// Longest wait for a client's first frames.
const PREFACE: Duration = Duration::from_secs(10);
/// Requests of one connection that are under way at once.
const MAX_STREAMS: u32 = 100;
/// What each header counts for besides its bytes (RFC 9113 §6.5.2), all together.
const HEADER_OVERHEAD: usize = 4 << 10;
/// Bytes of one body, and of all bodies of a connection, that a client may send ahead.
const STREAM_WINDOW: u32 = 256 << 10;
const CONNECTION_WINDOW: u32 = 1 << 20;
/// Bytes of an answer that wait for a client that takes them slowly.
const SEND_BUFFER: usize = 64 << 10;
/// Requests of one connection that may be no sound HTTP.
const MAX_MALFORMED: u32 = 32;

impl Connections {
    /// Answers all requests of a connection; returns when it ends.
    pub(crate) async fn answer_streams(&self, stream: ClientStream) {
        let digest = Arc::new(Digest {
            ssl_digest: stream.get_ssl_digest(),
            timing_digest: stream.get_timing_digest(),
            proxy_digest: stream.get_proxy_digest(),
            socket_digest: stream.get_socket_digest(),
        });
        let begun = handshake(Box::new(stream), Some(options()));
        let Ok(Ok(mut connection)) = tokio::time::timeout(PREFACE, begun).await else {
            tracing::debug!("no HTTP/2 handshake");
            return;
        };
        let idle = Duration::from_secs(self.keep_alive_seconds);
        let (mut closing, mut told, mut malformed) = (self.closing.clone(), false, 0);
        let under_way = TaskTracker::new();
        loop {
            let next = tokio::select! {
                biased;
                _ = closing.wait_for(|closing| *closing), if !told => {
                    connection.graceful_shutdown();
                    told = true;
                    continue;
                }
                next = HttpSession::from_h2_conn(&mut connection, Arc::clone(&digest)) => next,
                () = tokio::time::sleep(idle) => {
                    match (under_way.is_empty(), told) {
                        (true, true) => return,
                        (true, false) => {
                            connection.graceful_shutdown();
                            told = true;
                        }
                        (false, _) => {}
                    }
                    continue;
                }
            };
            match next {
                Ok(Some(H2Accept::Session(session))) => {
                    let answering = self.answer_stream(session);
                    under_way.spawn(self.open.track_future(answering));
                }
                Ok(Some(H2Accept::Rejected)) if malformed < MAX_MALFORMED => malformed += 1,
                // The client has gone, was told to go, or talks nonsense.
                Ok(Some(H2Accept::Rejected) | None) | Err(_) => return,
            }
        }
    }

    fn answer_stream(&self, session: HttpSession) -> impl Future<Output = ()> + Send + use<> {
        let connection = self.clone();
        async move {
            let session = ServerSession::new_custom(Box::new(PatientStream::new(session)));
            let answering = connection
                .proxy
                .process_new_http(session, &connection.closing);
            tokio::select! {
                biased;
                _nothing_to_reuse = answering => {}
                () = connection.cut.cancelled() => {}
            }
        }
    }
}

fn options() -> H2Options {
    let mut options = H2Options::default();
    let most = u32::try_from(MAX_HEAD + HEADER_OVERHEAD).unwrap_or(u32::MAX);
    options
        .max_header_list_size(most)
        .max_concurrent_streams(MAX_STREAMS)
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buffer_size(SEND_BUFFER);
    options
}
