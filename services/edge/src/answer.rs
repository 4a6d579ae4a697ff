//! Answers that the edge gives itself, in the contract's envelope (platform §6.3, §7.1).

use axum::response::IntoResponse;
use bytes::Bytes;
use futures::FutureExt;
use http::{HeaderValue, StatusCode, header};
use http_body_util::BodyExt;
use ingot_http::{ApiError, Code};
use pingora::http::ResponseHeader;
use pingora::proxy::Session;
use pingora::{Error, ErrorSource, ErrorType};

use crate::exchange::Exchange;
use crate::routes::Service;

/// A path in an answer is cut after so many bytes.
const SHOWN_TARGET: usize = 2048;

/// The path is claimed by no service.
pub(crate) fn unknown_route(session: &Session) -> ApiError {
    let request = session.req_header();
    let target = String::from_utf8_lossy(request.raw_path());
    let shown = target
        .char_indices()
        .take_while(|(at, _)| *at < SHOWN_TARGET)
        .map(|(_, c)| c)
        .collect::<String>();
    ApiError::not_found(format!(
        "The endpoint {} {shown} does not exist",
        request.method
    ))
    .with_hint("Check the path and the method against the API's documentation")
}

/// The host belongs to no project.
pub(crate) fn unknown_host() -> ApiError {
    ApiError::not_found("No project is served under this host name")
        .with_hint("Use the URL of your project")
}

/// The client made too many requests; it may come back in so many seconds.
pub(crate) fn too_many_requests(reset: u64) -> ApiError {
    ApiError::new(
        StatusCode::TOO_MANY_REQUESTS,
        Code::TooManyRequests,
        "Too many requests from this address",
    )
    .with_hint("Wait as long as the Retry-After header says, then go on more slowly")
    .with_retry_after(reset)
}

/// The body is larger than `limit` bytes.
pub(crate) fn body_too_large(limit: u64) -> ApiError {
    ApiError::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        Code::InvalidInput,
        format!("The request body is larger than {limit} bytes"),
    )
    .with_hint("Send less in one request; files belong into storage")
}

/// The request line and headers together are larger than `limit` bytes.
pub(crate) fn head_too_large(limit: usize) -> ApiError {
    ApiError::new(
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        Code::InvalidInput,
        format!("The request line and headers are larger than {limit} bytes"),
    )
    .with_hint("Shorten the URL and the headers")
}

/// The request has more than `limit` headers.
pub(crate) fn too_many_headers(limit: usize) -> ApiError {
    ApiError::new(
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        Code::InvalidInput,
        format!("The request has more than {limit} headers"),
    )
    .with_hint("Send fewer headers")
}

/// The request is not sound HTTP.
pub(crate) fn malformed() -> ApiError {
    ApiError::invalid_input("The request is not well-formed HTTP")
        .with_hint("Check the request's headers")
}

/// The client stopped sending its request.
pub(crate) fn unfinished() -> ApiError {
    ApiError::new(
        StatusCode::REQUEST_TIMEOUT,
        Code::InvalidInput,
        "The request did not arrive completely in time",
    )
}

/// No process of the service takes the request.
pub(crate) fn unavailable(service: Service) -> ApiError {
    ApiError::new(
        StatusCode::SERVICE_UNAVAILABLE,
        Code::UpstreamFailure,
        format!("The {} service is not available", service.name()),
    )
    .with_hint("Try again in a few seconds; nothing has been changed by this request")
    .with_retry_after(1)
}

/// The service took the request and broke off.
pub(crate) fn broken_off(service: Service) -> ApiError {
    ApiError::new(
        StatusCode::BAD_GATEWAY,
        Code::UpstreamFailure,
        format!("The {} service broke off its answer", service.name()),
    )
    .with_hint("Check whether the request took effect before sending it again")
}

/// The service took the request and fell silent.
pub(crate) fn too_slow(service: Service) -> ApiError {
    ApiError::new(
        StatusCode::GATEWAY_TIMEOUT,
        Code::UpstreamFailure,
        format!("The {} service did not answer in time", service.name()),
    )
    .with_hint("Check whether the request took effect before sending it again")
}

/// The edge connects to its services only (RFC 9110 §9.3.6).
fn no_tunnels() -> ApiError {
    ApiError::new(
        StatusCode::METHOD_NOT_ALLOWED,
        Code::InvalidInput,
        "The edge opens no tunnels",
    )
    .with_hint("Send the request itself, not CONNECT")
}

/// The answer to a failed request; none where nobody is left to hear it.
pub(crate) fn to_failure(error: &Error, exchange: &Exchange) -> Option<ApiError> {
    let service = exchange.service().unwrap_or(Service::Api);
    match (error.esource(), error.etype()) {
        (_, ErrorType::HTTPStatus(413)) => Some(body_too_large(exchange.body_limit)),
        (_, ErrorType::HTTPStatus(503)) => Some(unavailable(service)),
        (ErrorSource::Downstream, ErrorType::ReadTimedout) => Some(unfinished()),
        (
            ErrorSource::Downstream,
            ErrorType::ReadError
            | ErrorType::WriteError
            | ErrorType::WriteTimedout
            | ErrorType::ConnectionClosed,
        ) => None,
        (ErrorSource::Downstream, _) => Some(malformed()),
        (ErrorSource::Upstream, kind) if is_timeout(kind) => Some(too_slow(service)),
        (ErrorSource::Upstream, kind) if is_connect(kind) => Some(unavailable(service)),
        (ErrorSource::Upstream, _) => Some(broken_off(service)),
        (ErrorSource::Internal | ErrorSource::Unset, _) => Some(ApiError::internal(error)),
    }
}

fn is_connect(kind: &ErrorType) -> bool {
    matches!(
        kind,
        ErrorType::ConnectTimedout
            | ErrorType::ConnectRefused
            | ErrorType::ConnectNoRoute
            | ErrorType::ConnectError
            | ErrorType::BindError
            | ErrorType::AcceptError
            | ErrorType::SocketError
    )
}

/// The other side said nothing for too long.
pub(crate) fn is_timeout(kind: &ErrorType) -> bool {
    matches!(kind, ErrorType::ReadTimedout | ErrorType::WriteTimedout)
}

/// The same refusal as the bare answer `head`, with the envelope: pingora's answer to what is no
/// sound HTTP, or to CONNECT.
pub(crate) fn with_envelope(head: &[u8]) -> Vec<u8> {
    let head = String::from_utf8_lossy(head);
    let error = match head.split(' ').nth(1) {
        Some("405") => no_tunnels(),
        _ => malformed(),
    };
    // Nothing in it waits: see `render`.
    let body = match render(error).now_or_never() {
        Some(Ok((_, body))) => body,
        _ => Bytes::new(),
    };
    let kept = head.lines().filter(|line| {
        let name = line.split(':').next().unwrap_or_default();
        !line.is_empty()
            && !name.eq_ignore_ascii_case("content-length")
            && !name.eq_ignore_ascii_case("server")
    });
    let length = format!("Content-Length: {}", body.len());
    let kind = "Content-Type: application/json; charset=utf-8";
    let lines: Vec<_> = kept.chain([kind, &length, "", ""]).collect();
    [lines.join("\r\n").as_bytes(), &body].concat()
}

/// An error's response header and body.
pub(crate) async fn render(error: ApiError) -> pingora::Result<(ResponseHeader, Bytes)> {
    let (parts, body) = error.into_response().into_parts();
    // The body is in memory already: collecting it can neither wait nor fail.
    let body = body
        .collect()
        .await
        .map(http_body_util::Collected::to_bytes)
        .unwrap_or_default();
    let mut response = ResponseHeader::build(parts.status, Some(parts.headers.len() + 12))?;
    if let Some(after) = parts.headers.get(header::RETRY_AFTER) {
        response.insert_header("Retry-After", after.clone())?;
    }
    response.insert_header(
        "Content-Type",
        HeaderValue::from_static("application/json; charset=utf-8"),
    )?;
    response.insert_header("Content-Length", HeaderValue::from(body.len()))?;
    Ok((response, body))
}
