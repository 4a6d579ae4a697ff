//! From an HTTP request to a socket of our own (RFC 6455 §4.2).

use std::sync::Arc;

use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::{
    CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version};
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto::upgrade;
use ingot_http::Forwarded;
use ingot_project::Project;
use serde_json::json;
use tokio::net::TcpStream;
use tungstenite::handshake::derive_accept_key;

use super::pump::pump;
use super::socket::WebSocket;
use crate::node::Node;
use crate::session::{Frame, Session, converse};
use crate::transport::{MAX_PAYLOAD, PING_INTERVAL, PING_TIMEOUT};

/// Whether a request opens a websocket in the usual way. What is unusual is the library's affair.
pub(crate) fn is_handshake(request: &Request) -> bool {
    let headers = request.headers();
    request.method() == Method::GET
        && request.version() == Version::HTTP_11
        && names(headers, &UPGRADE, "websocket")
        && names(headers, &CONNECTION, "upgrade")
        && headers
            .get(SEC_WEBSOCKET_VERSION)
            .map(HeaderValue::as_bytes)
            == Some(b"13")
        && headers.contains_key(SEC_WEBSOCKET_KEY)
        && request.extensions().get::<Forwarded>().is_some()
}

/// Whether a header's list has a word.
fn names(headers: &HeaderMap, name: &HeaderName, word: &str) -> bool {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|part| part.trim().eq_ignore_ascii_case(word))
}

/// Answers a handshake; the socket's life begins when the answer is sent.
pub(crate) fn accept(node: &Arc<Node>, request: Request) -> Response {
    let forwarded = request.extensions().get::<Forwarded>();
    let (Some(forwarded), Some(key)) = (forwarded, request.headers().get(SEC_WEBSOCKET_KEY)) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let project = Arc::clone(&forwarded.project);
    let Ok(accepted) = HeaderValue::try_from(derive_accept_key(key.as_bytes())) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let upgrading = Arc::clone(node);
    node.tasks.spawn(async move {
        match take_over(request).await {
            // In a box, so that the task has no more than a socket needs.
            Ok((stream, early)) => Box::pin(live(upgrading, project, stream, early)).await,
            Err(error) => tracing::debug!(%error, "a websocket was not opened"),
        }
    });
    let headers = [
        (UPGRADE, HeaderValue::from_static("websocket")),
        (CONNECTION, HeaderValue::from_static("Upgrade")),
        (SEC_WEBSOCKET_ACCEPT, accepted),
    ];
    (StatusCode::SWITCHING_PROTOCOLS, headers, Body::empty()).into_response()
}

/// The connection itself, and what came with the handshake.
async fn take_over(request: Request) -> anyhow::Result<(TcpStream, Bytes)> {
    let upgraded = hyper::upgrade::on(request).await?;
    let parts = upgrade::downcast::<TokioIo<TcpStream>>(upgraded)
        .map_err(|_| anyhow::anyhow!("the connection is no TCP connection"))?;
    Ok((parts.io.into_inner(), parts.read_buf))
}

/// A socket from its first frame to its end.
async fn live(node: Arc<Node>, project: Arc<Project>, stream: TcpStream, early: Bytes) {
    let socket = Arc::new(WebSocket::new(stream, node.settings.queue.max(16)));
    let session = Session::of_websocket(Arc::clone(&socket), project);
    socket.offer(&open_frame(&session));
    node.sockets.insert(session.id, session.clone());
    if node.is_draining() {
        // It came too late for the ones that are closed in turn.
        session.close();
    }
    let link = Arc::clone(&session.link);
    tokio::join!(pump(&socket, &link, early), converse(node, session));
}

/// The packet that opens a session (contract, realtime §1.1).
fn open_frame(session: &Session) -> Frame {
    Frame::engine_packet(
        '0',
        &json!({
            "sid": session.id,
            "upgrades": [],
            "pingInterval": PING_INTERVAL.as_millis(),
            "pingTimeout": PING_TIMEOUT.as_millis(),
            "maxPayload": MAX_PAYLOAD,
        })
        .to_string(),
    )
}
