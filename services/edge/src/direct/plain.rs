//! Which requests are plain.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{self, HeaderName, HeaderValue};
use http::{HeaderMap, Version};
use pingora::http::RequestHeader;
use pingora::proxy::Session;
use pingora::{Error, ErrorType, Result};
use tokio::time::timeout;

use crate::exchange::Exchange;
use crate::routes::Body;

/// Larger bodies are passed on as they come.
const SMALL: usize = 64 << 10;

pub(super) const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");

/// Whether a request can go the short way: of HTTP/1.1 or HTTP/2, with a body that is small and says
/// so or with none, and without a header about the connection that means anything (RFC 9110 §7.6).
pub(crate) fn is_plain(session: &mut Session, exchange: &Exchange) -> bool {
    let request = session.req_header();
    let sound = matches!(request.version, Version::HTTP_11 | Version::HTTP_2)
        && is_all_of_target(request)
        && is_about_nothing_else(&request.headers);
    let small = exchange
        .found
        .is_some_and(|found| found.route.body == Body::Bounded)
        && request
            .headers
            .get(header::CONTENT_LENGTH)
            .is_some_and(is_small);
    sound && (small || session.as_downstream_mut().is_body_empty())
}

/// The body of a plain request, which has to be there within `limit`.
pub(super) async fn whole_body(session: &mut Session, limit: Duration) -> Result<Bytes> {
    let client = session.as_downstream_mut();
    if client.is_body_empty() {
        return Ok(Bytes::new());
    }
    let reading = async {
        let mut whole = BytesMut::new();
        while let Some(piece) = client.read_request_body().await.map_err(Error::into_down)? {
            whole.extend_from_slice(&piece);
        }
        Ok(whole.freeze())
    };
    timeout(limit, reading).await.unwrap_or_else(|_late| {
        let late = Error::explain(ErrorType::ReadTimedout, "the body comes too slowly");
        Err(late.into_down())
    })
}

fn is_small(length: &HeaderValue) -> bool {
    let length = length.to_str().ok();
    length
        .and_then(|length| length.parse::<usize>().ok())
        .is_some_and(|length| length <= SMALL)
}

/// The URI holds the target as the client wrote it.
fn is_all_of_target(request: &RequestHeader) -> bool {
    let in_uri = request.uri.path_and_query();
    let authority = request.uri.authority();
    let is_whole =
        |target: &str| target.starts_with('/') && target.as_bytes() == request.raw_path();
    in_uri.is_some_and(|in_uri| is_whole(in_uri.as_str()))
        && authority.is_none_or(|authority| !authority.as_str().contains('@'))
}

fn is_about_nothing_else(headers: &HeaderMap) -> bool {
    headers.iter().all(|(name, value)| match name.as_str() {
        "connection" => {
            let value = value.as_bytes();
            value.eq_ignore_ascii_case(b"keep-alive") || value.eq_ignore_ascii_case(b"close")
        }
        "expect"
        | "http2-settings"
        | "proxy-authenticate"
        | "proxy-authorization"
        | "proxy-connection"
        | "te"
        | "trailer"
        | "transfer-encoding"
        | "upgrade" => false,
        _ => true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(target: &str, headers: &[(&'static str, &str)]) -> RequestHeader {
        let mut request = RequestHeader::build("GET", target.as_bytes(), None).unwrap();
        for (name, value) in headers {
            request.append_header(*name, *value).unwrap();
        }
        request
    }

    #[test]
    fn what_says_something_about_the_connection_is_not_plain() {
        let plain = |headers: &[(&'static str, &str)]| {
            is_about_nothing_else(&request("/", headers).headers)
        };
        assert!(plain(&[
            ("Host", "a"),
            ("Connection", "Keep-Alive"),
            ("Keep-Alive", "timeout=5")
        ]));
        assert!(plain(&[("Connection", "close"), ("Accept", "*/*")]));
        for (name, value) in [
            ("Connection", "x-forwarded-for"),
            ("Connection", "keep-alive, x-a"),
            ("Expect", "100-continue"),
            ("TE", "trailers"),
            ("Trailer", "x-a"),
            ("Transfer-Encoding", "chunked"),
            ("Upgrade", "h2c"),
            ("Proxy-Authorization", "Basic eDp5"),
        ] {
            assert!(!plain(&[("Host", "a"), (name, value)]), "{name}: {value}");
        }
    }

    #[test]
    fn only_a_length_that_is_one_number_and_not_large_is_small() {
        for (length, small) in [
            ("0", true),
            ("65536", true),
            ("65537", false),
            ("5, 5", false),
            ("", false),
        ] {
            assert_eq!(
                is_small(&HeaderValue::from_static(length)),
                small,
                "{length}"
            );
        }
    }

    #[test]
    fn targets_in_other_forms_are_not_plain() {
        assert!(is_all_of_target(&request("/api/usage/x?a=%2F&b", &[])));
        for target in ["http://shop.example/api/usage/x", "*"] {
            assert!(!is_all_of_target(&request(target, &[])), "{target}");
        }
    }
}
