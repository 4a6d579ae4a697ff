//! Cross-origin rules (contract, platform §3.1): the one place in Ingot that speaks CORS.
//!
//! Browser clients send `credentials: include`, so the origin is reflected and never `*`. What a
//! service says about CORS is dropped, with the one exception that the route table marks.

use http::{HeaderMap, HeaderValue, StatusCode, header};
use pingora::http::{RequestHeader, ResponseHeader};

const METHODS: HeaderValue = HeaderValue::from_static("GET,HEAD,PUT,PATCH,POST,DELETE");
/// Headers of answers that scripts may read.
pub(crate) const EXPOSED: HeaderValue =
    HeaderValue::from_static("Content-Range,Preference-Applied");
const TRUE: HeaderValue = HeaderValue::from_static("true");
const ORIGIN: HeaderValue = HeaderValue::from_static("Origin");
const ORIGIN_AND_HEADERS: HeaderValue =
    HeaderValue::from_static("Origin, Access-Control-Request-Headers");

/// Marks an answer for the request's origin, in place of what the service said.
pub(crate) fn mark(answer: &mut HeaderMap, origin: Option<&HeaderValue>, own_origin: bool) {
    let said = Said::of(answer);
    let keeps_own = own_origin && said.origin;
    if said.any {
        strip(answer, keeps_own);
    }
    if let (Some(origin), false) = (origin, keeps_own) {
        answer.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    }
    answer.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, TRUE);
    answer.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
    if !said.varies {
        answer.append(header::VARY, ORIGIN);
    }
}

/// The answer to any `OPTIONS` request.
pub(crate) fn preflight(request: &RequestHeader) -> pingora::Result<ResponseHeader> {
    let mut response = ResponseHeader::build(StatusCode::NO_CONTENT, Some(10))?;
    if let Some(origin) = request.headers.get(header::ORIGIN) {
        response.insert_header("Access-Control-Allow-Origin", origin.clone())?;
    }
    response.insert_header("Access-Control-Allow-Credentials", TRUE)?;
    response.insert_header("Access-Control-Expose-Headers", EXPOSED)?;
    response.insert_header("Access-Control-Allow-Methods", METHODS)?;
    if let Some(asked) = request.headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS) {
        response.insert_header("Access-Control-Allow-Headers", asked.clone())?;
    }
    response.insert_header("Vary", ORIGIN_AND_HEADERS)?;
    response.insert_header("Content-Length", HeaderValue::from_static("0"))?;
    Ok(response)
}

/// What the service said itself, learnt in one pass.
struct Said {
    any: bool,
    origin: bool,
    varies: bool,
}

impl Said {
    fn of(headers: &HeaderMap) -> Self {
        let mut said = Self {
            any: false,
            origin: false,
            varies: false,
        };
        for (name, value) in headers {
            if name.as_str().starts_with("access-control-") {
                said.any = true;
                said.origin |= name == header::ACCESS_CONTROL_ALLOW_ORIGIN;
            } else if name == header::VARY {
                said.varies |= names_origin(value.as_bytes());
            }
        }
        said
    }
}

pub(crate) fn names_origin(vary: &[u8]) -> bool {
    vary.split(|byte| *byte == b',').any(|item| {
        let item = item.trim_ascii();
        item == b"*" || item.eq_ignore_ascii_case(b"origin")
    })
}

fn strip(answer: &mut HeaderMap, keep_origin: bool) {
    let said: Vec<_> = answer
        .keys()
        .filter(|name| name.as_str().starts_with("access-control-"))
        .filter(|name| !(keep_origin && *name == header::ACCESS_CONTROL_ALLOW_ORIGIN))
        .cloned()
        .collect();
    for name in &said {
        answer.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marked(said: &[(&'static str, &'static str)], own_origin: bool) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in said {
            headers.append(*name, HeaderValue::from_static(value));
        }
        let origin = HeaderValue::from_static("https://app.example");
        mark(&mut headers, Some(&origin), own_origin);
        headers
    }

    #[test]
    fn the_services_own_words_are_replaced() {
        let headers = marked(
            &[
                ("access-control-allow-origin", "*"),
                ("access-control-max-age", "5"),
                ("vary", "Accept-Encoding, origin"),
            ],
            false,
        );
        let origins: Vec<_> = headers
            .get_all("access-control-allow-origin")
            .iter()
            .collect();
        assert_eq!(origins, ["https://app.example"]);
        assert!(!headers.contains_key("access-control-max-age"));
        assert_eq!(headers.get_all("vary").iter().count(), 1);
        assert_eq!(headers["access-control-expose-headers"], EXPOSED);
    }

    #[test]
    fn functions_may_allow_every_origin() {
        let headers = marked(&[("access-control-allow-origin", "*")], true);
        assert_eq!(headers["access-control-allow-origin"], "*");
        let silent = marked(&[], true);
        assert_eq!(silent["access-control-allow-origin"], "https://app.example");
    }

    #[test]
    fn a_preflight_echoes_what_is_asked_for() {
        let mut request = RequestHeader::build("OPTIONS", b"/api/usage/x", None).unwrap();
        request.insert_header("Origin", "null").unwrap();
        request
            .insert_header("Access-Control-Request-Headers", "x-a, prefer")
            .unwrap();
        let response = preflight(&request).unwrap();
        assert_eq!(response.status, 204);
        assert_eq!(response.headers["access-control-allow-origin"], "null");
        assert_eq!(
            response.headers["access-control-allow-headers"],
            "x-a, prefer"
        );
        assert_eq!(response.headers["content-length"], "0");
        assert!(!response.headers.contains_key("access-control-max-age"));
    }
}
