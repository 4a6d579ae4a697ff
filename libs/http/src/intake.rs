//! What bodies go through before a handler has them: unpacking, the limit, and one early look.

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Request};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use futures::{StreamExt, stream};
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, StatusCode};
use http_body_util::BodyExt;
use tower_http::decompression::RequestDecompressionLayer;

use crate::body::{BodyKind, unreadable};
use crate::{ApiError, BodySettings, Code};

/// Most of a body that is looked at before its handler has it. A longer one is looked at there, so
/// that nobody without credentials makes the service hold much.
const MAX_EARLY_CHECK: usize = 1 << 20;

/// Puts what all JSON routes expect of bodies before `routes`: gzip, deflate, br and zstd are
/// unpacked, the limit counts what was unpacked, and a body that claims to be JSON and is not is
/// refused before anything else about the request is judged (contract, platform §2).
///
/// Answers 415 to other encodings and to other character sets than UTF-8.
pub fn with_bodies<S>(routes: Router<S>, settings: &BodySettings) -> Router<S>
where
    S: Clone + Send + Sync + 'static,
{
    routes
        .layer(from_fn(check))
        .layer(DefaultBodyLimit::max(settings.json_limit()))
        .layer(RequestDecompressionLayer::new().pass_through_unaccepted(true))
}

async fn check(request: Request, next: Next) -> Response {
    let kind = BodyKind::of(request.headers());
    if matches!(kind, BodyKind::Other) {
        return next.run(request).await;
    }
    if let Err(error) = is_readable(request.headers()) {
        return error.into_response();
    }
    let (parts, body) = request.into_parts();
    let (start, rest) = match start_of(body).await {
        Ok(read) => read,
        Err(error) => return error.into_response(),
    };
    let body = match rest {
        Some(rest) => {
            let start = stream::once(async { Ok(start) });
            Body::from_stream(start.chain(rest.into_data_stream()))
        }
        None => match kind.well_formed(&start) {
            Ok(()) => Body::from(start),
            Err(error) => return error.into_response(),
        },
    };
    next.run(Request::from_parts(parts, body)).await
}

/// The first bytes of a body, and the rest if there is more than that.
async fn start_of(mut body: Body) -> Result<(Bytes, Option<Body>), ApiError> {
    let mut start = BytesMut::new();
    while start.len() < MAX_EARLY_CHECK {
        match body.frame().await {
            None => return Ok((start.freeze(), None)),
            Some(Ok(frame)) => {
                if let Ok(bytes) = frame.into_data() {
                    start.extend_from_slice(&bytes);
                }
            }
            Some(Err(_)) => return Err(unreadable()),
        }
    }
    Ok((start.freeze(), Some(body)))
}

/// Refuses what is still encoded, and texts that are not UTF-8 by their own word.
fn is_readable(headers: &HeaderMap) -> Result<(), ApiError> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let encoding = text(CONTENT_ENCODING).unwrap_or("identity");
    if !encoding.eq_ignore_ascii_case("identity") {
        return Err(unsupported("The request body has an unknown encoding")
            .with_hint("Send it as it is, or with gzip, deflate, br or zstd"));
    }
    let charset = text(CONTENT_TYPE)
        .unwrap_or_default()
        .split(';')
        .filter_map(|parameter| parameter.trim().split_once('='))
        .find(|(name, _)| name.eq_ignore_ascii_case("charset"))
        .map_or("utf-8", |(_, charset)| charset.trim_matches('"'));
    if ["utf-8", "utf8", "us-ascii"]
        .iter()
        .any(|known| known.eq_ignore_ascii_case(charset))
    {
        Ok(())
    } else {
        Err(unsupported("The request body is not in UTF-8").with_hint("Send it in UTF-8"))
    }
}

fn unsupported(message: &'static str) -> ApiError {
    ApiError::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Code::InvalidInput,
        message,
    )
}

#[cfg(test)]
mod tests {
    use axum::routing::post;
    use ingot_config::{Environment, Settings};
    use tower::ServiceExt;

    use super::*;

    async fn send(headers: &[(&str, &str)], body: Body) -> (StatusCode, Bytes) {
        let environment = Environment::from_pairs([("MAX_JSON_BODY_SIZE", "2mb")]);
        let settings = BodySettings::load(&environment).unwrap();
        let echo = Router::new().route("/", post(|body: Bytes| async { body }));
        let mut request = Request::post("/");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(body).unwrap();
        let answer = with_bodies(echo, &settings).oneshot(request).await.unwrap();
        let status = answer.status();
        (
            status,
            answer.into_body().collect().await.unwrap().to_bytes(),
        )
    }

    const JSON: (&str, &str) = ("content-type", "application/json");

    /// `{"a":1}`, packed by gzip.
    const GZIP: &[u8] = &[
        31, 139, 8, 0, 0, 0, 0, 0, 2, 3, 171, 86, 74, 84, 178, 50, 172, 5, 0, 175, 172, 27, 86, 7,
        0, 0, 0,
    ];

    #[tokio::test]
    async fn json_is_unpacked_and_checked() {
        let gzip = ("content-encoding", "gzip");
        let (status, body) = send(&[JSON, gzip], Body::from(GZIP)).await;
        assert_eq!((status.as_u16(), &body[..]), (200, &b"{\"a\":1}"[..]));
        for (headers, body, expected) in [
            (vec![JSON, gzip], &b"no gzip"[..], 400),
            (vec![JSON, ("content-encoding", "rot13")], b"{}", 415),
            (
                vec![("content-type", "application/json; charset=utf-16")],
                b"{}",
                415,
            ),
            (
                vec![("content-type", "application/json; charset=\"UTF-8\"")],
                b"{}",
                200,
            ),
            (vec![JSON], b"{\"a\":", 400),
            (vec![JSON], b" ", 200),
            (vec![("content-type", "text/plain")], b"{\"a\":", 200),
        ] {
            let answered = send(&headers, Body::from(body)).await;
            assert_eq!(answered.0, expected, "{headers:?} {:?}", answered.1);
        }
    }

    static BLANKS: [u8; 1 << 16] = [b' '; 1 << 16];

    #[tokio::test]
    async fn bodies_without_a_length_are_checked_too_and_long_ones_pass_whole() {
        let pieces = |text: &'static [u8], count| {
            Body::from_stream(stream::iter((0..count).map(move |_| {
                Ok::<_, std::convert::Infallible>(Bytes::from_static(text))
            })))
        };
        assert_eq!(send(&[JSON], pieces(b"{", 3)).await.0, 400);
        let (status, body) = send(&[JSON], pieces(&BLANKS, 20)).await;
        assert_eq!((status.as_u16(), body.len()), (200, 20 << 16));
        assert_eq!(send(&[JSON], pieces(&BLANKS, 40)).await.0, 413);
    }
}
