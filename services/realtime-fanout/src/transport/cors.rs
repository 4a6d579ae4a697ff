//! CORS: every origin may connect, with credentials (contract, realtime §1.3). What a socket may do
//! is decided by its handshake, never by cookies.

use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_REQUEST_HEADERS, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderValue, StatusCode};

const METHODS: &str = "GET,HEAD,PUT,PATCH,POST,DELETE";

/// The page that a request comes from, if a browser tells.
pub(super) struct Origin(Option<HeaderValue>);

impl Origin {
    pub(super) fn of(request: &Request) -> Self {
        Self(request.headers().get(ORIGIN).cloned())
    }

    /// Lets the page read the answer.
    pub(super) fn allow(self, headers: &mut HeaderMap) {
        headers.insert(
            ACCESS_CONTROL_ALLOW_CREDENTIALS,
            HeaderValue::from_static("true"),
        );
        headers.insert(VARY, HeaderValue::from_static("Origin"));
        if let Some(origin) = self.0 {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        }
    }
}

/// Answers a browser's question before the request: yes.
pub(super) fn preflight(request: &Request) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    let headers = response.headers_mut();
    headers.insert(
        ACCESS_CONTROL_ALLOW_METHODS,
        HeaderValue::from_static(METHODS),
    );
    if let Some(wanted) = request.headers().get(ACCESS_CONTROL_REQUEST_HEADERS) {
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, wanted.clone());
    }
    response
}
