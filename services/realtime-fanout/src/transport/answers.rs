//! Answers in the contract's form where the library's differ (contract, realtime §1.1 and §1.2).

use axum::body::{Body, to_bytes};
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};

/// Longest error of the library.
const MAX_ERROR: usize = 4096;

/// A request that the library does not get to see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EngineError {
    UnknownTransport,
    UnknownSession,
    BadHandshakeMethod,
    BadRequest,
}

impl IntoResponse for EngineError {
    fn into_response(self) -> Response {
        let body = match self {
            Self::UnknownTransport => r#"{"code":0,"message":"Transport unknown"}"#,
            Self::UnknownSession => r#"{"code":1,"message":"Session ID unknown"}"#,
            Self::BadHandshakeMethod => r#"{"code":2,"message":"Bad handshake method"}"#,
            Self::BadRequest => r#"{"code":3,"message":"Bad request"}"#,
        };
        let json = [(CONTENT_TYPE, "application/json")];
        (StatusCode::BAD_REQUEST, json, body).into_response()
    }
}

/// Error codes as numbers, `text/html` for the `ok` of a POST, and no caching.
pub(super) async fn adjust(response: Response, is_post: bool) -> Response {
    let mut response = match response.status() {
        StatusCode::BAD_REQUEST => with_numeric_code(response).await,
        _ => response,
    };
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if is_post && headers.contains_key(CONTENT_TYPE) {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html"));
    }
    response
}

async fn with_numeric_code(response: Response) -> Response {
    let (mut parts, body) = response.into_parts();
    let Ok(body) = to_bytes(body, MAX_ERROR).await else {
        return EngineError::BadRequest.into_response();
    };
    let text = String::from_utf8_lossy(&body);
    if text.is_empty() {
        return EngineError::BadRequest.into_response();
    }
    let numeric = (0..=5).fold(text.into_owned(), |text, code| {
        text.replace(&format!("\"code\":\"{code}\""), &format!("\"code\":{code}"))
    });
    parts.headers.remove(CONTENT_LENGTH);
    Response::from_parts(parts, Body::from(numeric))
}
