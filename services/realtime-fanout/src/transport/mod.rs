//! HTTP: Engine.IO behind the edge (contract, realtime §1).
//!
//! [`answers`] makes the library's answers those of the contract, [`cors`] lets browsers in, [`sid`]
//! puts the node's name into session ids, [`handler`] connects sessions with conversations.

mod answers;
mod cors;
mod handler;
mod sid;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use engineioxide::config::EngineIoConfig;
use engineioxide::service::EngineIoService;
use http::header::{CONTENT_LENGTH, UPGRADE};
use http::{Method, StatusCode};
use ingot_http::{ApiError, EdgeKey};
use socket2::SockRef;
use tokio::net::TcpStream;
use tower::ServiceExt;

use crate::node::Node;
use crate::websocket::{accept, is_handshake};
use answers::EngineError;
use handler::Handler;
use sid::Session;

/// Heartbeat and limits of the contract, realtime §1.
pub(crate) const PING_INTERVAL: Duration = Duration::from_secs(25);
pub(crate) const PING_TIMEOUT: Duration = Duration::from_secs(20);
const UPGRADE_TIMEOUT: Duration = Duration::from_secs(10);
pub(crate) const MAX_PAYLOAD: usize = 1_000_000;

/// A connection whose peer takes no byte for so long is cut by the kernel: a writer waiting for it
/// would keep the frames of a socket that was disconnected long ago.
const STALL_TIMEOUT: Duration = Duration::from_secs(20);

/// Makes the kernel cut connections that take nothing any more, where it can.
pub(crate) fn cut_stalled(stream: &TcpStream) {
    #[cfg(target_os = "linux")]
    if let Err(error) = SockRef::from(stream).set_tcp_user_timeout(Some(STALL_TIMEOUT)) {
        tracing::debug!(%error, "cannot set TCP_USER_TIMEOUT");
    }
}

/// What requests of all sessions share.
#[derive(Clone)]
struct Transport {
    node: Arc<Node>,
    engine: EngineIoService<Handler>,
}

/// The routes of the node, behind the edge's key.
pub(crate) fn router(node: Arc<Node>, guard: EdgeKey) -> Router {
    let config = EngineIoConfig::builder()
        .req_path("/socket.io")
        .ping_interval(PING_INTERVAL)
        .ping_timeout(PING_TIMEOUT)
        .upgrade_timeout(UPGRADE_TIMEOUT)
        .max_payload(MAX_PAYLOAD as u64)
        .ws_max_message_size(MAX_PAYLOAD)
        .ws_max_frame_size(MAX_PAYLOAD)
        .max_buffer_size(node.settings.queue.max(16))
        .build();
    let handler = Arc::new(Handler::new(Arc::clone(&node)));
    let transport = Transport {
        node,
        engine: EngineIoService::with_config(handler, config),
    };
    Router::new()
        .route("/socket.io/", any(answer))
        .route("/socket.io/{*rest}", any(answer))
        .with_state(transport)
        .layer(from_fn_with_state(guard, EdgeKey::require))
}

async fn answer(State(transport): State<Transport>, request: Request) -> Response {
    let origin = cors::Origin::of(&request);
    let mut response = if request.method() == Method::OPTIONS {
        cors::preflight(&request)
    } else {
        transport
            .exchange(request)
            .await
            .unwrap_or_else(IntoResponse::into_response)
    };
    origin.allow(response.headers_mut());
    response
}

impl Transport {
    /// Checks a request, and lets the library answer it.
    async fn exchange(&self, mut request: Request) -> Result<Response, EngineError> {
        let query = request.uri().query().unwrap_or_default();
        let is_websocket = match sid::parameter(query, "transport") {
            Some("polling") => false,
            Some("websocket") => true,
            _ => return Err(EngineError::UnknownTransport),
        };
        let is_version_4 = sid::parameter(query, "EIO") == Some("4");
        let session = Session::of(query, &self.node.id);
        let is_post = request.method() == Method::POST;
        match &session {
            Session::New if request.method() != Method::GET => {
                return Err(EngineError::BadHandshakeMethod);
            }
            Session::New if self.node.is_draining() => {
                return Ok(ApiError::unavailable(&"the node is stopping").into_response());
            }
            Session::New => {}
            Session::Foreign => return Err(EngineError::UnknownSession),
            Session::Ours { query } => {
                let uri = format!("{}?{query}", request.uri().path());
                *request.uri_mut() = uri.parse().map_err(|_| EngineError::BadRequest)?;
            }
        }
        let is_first = is_websocket && session == Session::New;
        if is_first && is_version_4 && is_handshake(&request) {
            return Ok(accept(&self.node, request));
        }
        if is_websocket && !request.headers().contains_key(UPGRADE) {
            return Err(EngineError::BadRequest);
        }
        if is_post && announced_length(&request).is_some_and(|length| length > MAX_PAYLOAD) {
            // Not given to the library, which would end the session.
            return Ok(StatusCode::PAYLOAD_TOO_LARGE.into_response());
        }
        let response = match self.engine.clone().oneshot(request).await {
            Ok(response) => response.map(Body::new),
            Err(never) => match never {},
        };
        let response = if session == Session::New && !is_websocket {
            sid::prefix(response, &self.node.id).await
        } else {
            response
        };
        Ok(answers::adjust(response, is_post).await)
    }
}

fn announced_length(request: &Request) -> Option<usize> {
    request
        .headers()
        .get(CONTENT_LENGTH)?
        .to_str()
        .ok()?
        .parse()
        .ok()
}
