//! The service behind the proxies: a small answer, an echo behind a handshake, large bodies.

use std::net::SocketAddr;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Request};
use axum::http::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, UPGRADE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::serve::ListenerExt;
use bytes::Bytes;
use futures::{StreamExt, stream};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// A path that the edge forwards to the api service.
pub(super) const SMALL: &str = "/api/auth/public-config";
/// The answer.
pub(super) const ANSWER: &str = r#"{"status":"ok","service":"small answer","n":12345678}"#;
/// A path that the edge forwards to a realtime node; behind its handshake, bytes come back.
pub(super) const ECHO: &str = "/socket.io/";
/// A path that bodies of any size go to; below it, so many bytes come back.
pub(super) const LARGE: &str = "/api/storage/large";

const CHUNK: usize = 64 << 10;

/// Serves until it is killed.
pub(crate) async fn serve_behind(address: SocketAddr) -> anyhow::Result<()> {
    crate::files::raise_limit();
    let listener = TcpListener::bind(address).await?.tap_io(|stream| {
        stream.set_nodelay(true).ok();
    });
    let answer = || async { ([(CONTENT_TYPE, "application/json")], ANSWER) };
    let router = Router::new()
        .route(SMALL, get(answer))
        .route("/readyz", get(answer))
        .route(ECHO, get(echo))
        .route(LARGE, axum::routing::put(take))
        .route(&format!("{LARGE}/{{bytes}}"), get(give));
    axum::serve(listener, router).await?;
    Ok(())
}

/// Switches protocols, and sends back whatever comes: proxies look at no frame.
async fn echo(request: Request) -> Response {
    tokio::spawn(async move {
        let Ok(upgraded) = hyper::upgrade::on(request).await else {
            return;
        };
        let mut stream = TokioIo::new(upgraded);
        // Small while nothing comes, for there may be very many.
        let mut first = [0; 1];
        let mut buffer = Vec::new();
        while stream.read_exact(&mut first).await.is_ok() {
            buffer.resize(CHUNK, 0);
            let Ok(read) = stream.read(&mut buffer).await else {
                return;
            };
            let whole = [&first[..], buffer.get(..read).unwrap_or_default()].concat();
            if stream.write_all(&whole).await.is_err() {
                return;
            }
        }
    });
    let websocket = HeaderValue::from_static("websocket");
    let upgrade = HeaderValue::from_static("Upgrade");
    let head = [(UPGRADE, websocket), (CONNECTION, upgrade)];
    (StatusCode::SWITCHING_PROTOCOLS, head).into_response()
}

/// Counts the bytes of a body.
async fn take(request: Request) -> Response {
    let mut pieces = request.into_body().into_data_stream();
    let mut bytes = 0;
    while let Some(piece) = pieces.next().await {
        match piece {
            Ok(piece) => bytes += piece.len(),
            Err(_) => return StatusCode::BAD_REQUEST.into_response(),
        }
    }
    bytes.to_string().into_response()
}

/// So many bytes.
async fn give(Path(bytes): Path<usize>) -> Response {
    ([(CONTENT_LENGTH, bytes)], Body::from_stream(zeros(bytes))).into_response()
}

/// A stream of so many bytes, in pieces.
pub(super) fn zeros(bytes: usize) -> impl futures::Stream<Item = Result<Bytes, std::io::Error>> {
    static ZEROS: [u8; CHUNK] = [0; CHUNK];
    stream::unfold(bytes, |left| async move {
        let size = left.min(CHUNK);
        let piece = ZEROS.get(..size).filter(|piece| !piece.is_empty())?;
        Some((Ok(Bytes::from_static(piece)), left - size))
    })
}
