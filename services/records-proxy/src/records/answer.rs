//! What the platform changes in an engine's answer (contract, database §4.7): an empty body becomes
//! `[]` or `null`, because clients read JSON. Everything else passes untouched, chunk by chunk.

use axum::body::{Body, BodyDataStream};
use axum::response::IntoResponse;
use bytes::{Bytes, BytesMut};
use futures::stream::{StreamExt, once};
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Response, StatusCode};
use http_body::Body as _;
use ingot_http::{ApiError, Code};

use crate::engine::{EngineError, Target};

/// Blank bytes that are looked at before a body counts as having content.
const MAX_BLANK: usize = 1024;

/// Applies the rules to the answer of a request.
pub(super) async fn finish(
    method: &Method,
    target: &Target,
    answer: Response<Body>,
) -> Result<Response<Body>, EngineError> {
    let status = answer.status();
    let has_body =
        method != Method::HEAD && status != StatusCode::NO_CONTENT && !status.is_redirection();
    if !has_body || !may_be_blank(&answer) {
        return Ok(answer);
    }
    let (mut parts, body) = answer.into_parts();
    match read_blank(body).await? {
        Content::Some(body) => Ok(Response::from_parts(parts, body)),
        // Official clients take an error without a body for a success.
        Content::None if !status.is_success() => Ok(ApiError::new(
            status,
            Code::UpstreamFailure,
            "The records engine refused the request without saying why",
        )
        .into_response()),
        Content::None => {
            parts
                .headers
                .entry(CONTENT_TYPE)
                .or_insert(HeaderValue::from_static("application/json"));
            let empty = match target {
                Target::Table(_) => "[]",
                Target::Function(_) => "null",
            };
            Ok(Response::from_parts(parts, Body::from(empty)))
        }
    }
}

/// Whether the body has to be looked at: a blank answer in a format other than JSON means what it
/// says, for example a CSV file without rows.
fn may_be_blank(answer: &Response<Body>) -> bool {
    let json = answer.headers().get(CONTENT_TYPE).is_none_or(|value| {
        let kind = value.as_bytes();
        kind.starts_with(b"application/json") || kind.starts_with(b"application/vnd.pgrst.")
    });
    let long = answer
        .body()
        .size_hint()
        .exact()
        .is_some_and(|size| size > MAX_BLANK as u64);
    (json || !answer.status().is_success()) && !long
}

enum Content {
    Some(Body),
    None,
}

/// Reads until something other than white space comes.
async fn read_blank(body: Body) -> Result<Content, EngineError> {
    let mut stream = body.into_data_stream();
    let mut head = BytesMut::new();
    while let Some(chunk) = stream.next().await {
        let chunk = chunk
            .map_err(|error| EngineError::Unavailable(format!("the answer broke off: {error}")))?;
        head.extend_from_slice(&chunk);
        if head.len() > MAX_BLANK || !chunk.iter().all(u8::is_ascii_whitespace) {
            return Ok(Content::Some(rejoin(head.freeze(), stream)));
        }
    }
    Ok(Content::None)
}

fn rejoin(head: Bytes, rest: BodyDataStream) -> Body {
    if rest.is_end_stream() {
        // The whole answer is here, so its length is known to the client.
        return Body::from(head);
    }
    Body::from_stream(once(std::future::ready(Ok(head))).chain(rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::stream;

    async fn finished(
        method: Method,
        target: Target,
        answer: Response<Body>,
    ) -> (StatusCode, String) {
        let answer = finish(&method, &target, answer).await.unwrap();
        let status = answer.status();
        let bytes = axum::body::to_bytes(answer.into_body(), 1 << 20)
            .await
            .unwrap();
        (status, String::from_utf8(bytes.to_vec()).unwrap())
    }

    fn answer(status: u16, kind: &'static str, chunks: Vec<&'static str>) -> Response<Body> {
        let chunks = chunks.into_iter().map(Ok::<_, std::io::Error>);
        Response::builder()
            .status(status)
            .header(CONTENT_TYPE, kind)
            .body(Body::from_stream(stream::iter(chunks)))
            .unwrap()
    }

    fn table() -> Target {
        Target::Table("t".to_owned())
    }

    #[tokio::test]
    async fn empty_and_blank_answers_become_json() {
        for chunks in [vec![], vec![""], vec![" ", "\n"]] {
            let created = answer(201, "application/json", chunks.clone());
            let (status, body) = finished(Method::POST, table(), created).await;
            assert_eq!((status.as_u16(), body.as_str()), (201, "[]"));
            let called = answer(200, "application/json", chunks);
            let function = Target::Function("f".to_owned());
            assert_eq!(finished(Method::POST, function, called).await.1, "null");
        }
    }

    #[tokio::test]
    async fn answers_without_a_body_stay_so() {
        let deleted = answer(204, "application/json", vec![]);
        assert_eq!(finished(Method::DELETE, table(), deleted).await.1, "");
        let head = answer(200, "application/json", vec![]);
        assert_eq!(finished(Method::HEAD, table(), head).await.1, "");
        let csv = answer(200, "text/csv; charset=utf-8", vec![]);
        assert_eq!(finished(Method::GET, table(), csv).await.1, "");
    }

    #[tokio::test]
    async fn content_passes_byte_for_byte() {
        let rows = answer(
            200,
            "application/json",
            vec![" \n", "[{\"a\":1.10", ",\"b\":9007199254740993}]"],
        );
        assert_eq!(
            finished(Method::GET, table(), rows).await.1,
            " \n[{\"a\":1.10,\"b\":9007199254740993}]"
        );
    }

    #[tokio::test]
    async fn an_error_never_comes_without_a_body() {
        let (status, body) =
            finished(Method::GET, table(), answer(404, "text/plain", vec![])).await;
        assert_eq!(status, 404);
        assert!(body.contains("UPSTREAM_FAILURE"), "{body}");
    }

    #[tokio::test]
    async fn an_answer_that_breaks_off_at_once_is_an_error() {
        let broken = stream::iter([Err::<Bytes, _>(std::io::Error::other("reset"))]);
        let answer = Response::new(Body::from_stream(broken));
        assert!(finish(&Method::GET, &table(), answer).await.is_err());
    }
}
