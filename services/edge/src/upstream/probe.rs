//! One health check: `GET /readyz` on a connection of its own.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::Empty;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::session::NodeId;

/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// What a check found.
pub(super) enum Finding {
    /// An answer: whether it was a 200, and the realtime node's name if it told one.
    Answer { ready: bool, node: Option<NodeId> },
    /// No connection: nothing listens there.
    Refused,
    /// No answer in time, or not HTTP.
    Silence,
}

/// Asks a member whether it is ready.
pub(super) async fn probe(address: SocketAddr) -> Finding {
    match tokio::time::timeout(PATIENCE, ask(address)).await {
        Ok(finding) => finding,
        Err(_) => Finding::Silence,
    }
}

/// Whether a member answers at all within a time, whatever it has to say. Who refuses does.
pub(super) async fn is_awake(address: SocketAddr, patience: Duration) -> bool {
    tokio::time::timeout(patience, ask_at(address, "/livez"))
        .await
        .is_ok()
}

async fn ask(address: SocketAddr) -> Finding {
    ask_at(address, "/readyz").await
}

async fn ask_at(address: SocketAddr, path: &str) -> Finding {
    let Ok(stream) = TcpStream::connect(address).await else {
        return Finding::Refused;
    };
    exchange(stream, address, path)
        .await
        .unwrap_or(Finding::Silence)
}

async fn exchange(stream: TcpStream, address: SocketAddr, path: &str) -> Option<Finding> {
    let io = TokioIo::new(stream);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.ok()?;
    let request = Request::get(path)
        .header(header::HOST, address.to_string())
        .header(header::CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .ok()?;
    let answer = async {
        let response = sender.send_request(request).await.ok()?;
        let node = response.headers().get(ingot_http::header::NODE);
        Some(Finding::Answer {
            ready: response.status() == StatusCode::OK,
            node: node.and_then(|name| NodeId::parse(name.as_bytes())),
        })
    };
    tokio::pin!(answer);
    tokio::select! {
        finding = &mut answer => finding,
        // The connection may end first and leave the answer behind.
        _ = connection => answer.await,
    }
}
