//! Chapter "CORS": browsers may call from anywhere, unless origins are listed.

use ::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use ::http::{Method, Request};

use super::Answer;

const METHODS: &str = "GET, POST, PATCH, PUT, DELETE, OPTIONS, HEAD";
const EXPOSED: &str = "Content-Encoding, Content-Location, Content-Range, Content-Type, Date, \
                       Location, Server, Transfer-Encoding, Range-Unit";
const MAX_AGE: &str = "86400";
/// Methods that a browser may ask about.
const ASKABLE: [&str; 7] = ["GET", "POST", "PATCH", "PUT", "DELETE", "OPTIONS", "HEAD"];
/// Headers that may be sent besides those that the browser asks about.
const ALWAYS: &str = "Accept, Accept-Language, Content-Language";

/// The answer to a question that a browser asks before a request.
pub(super) fn preflight<B>(request: &Request<B>, origins: Option<&[String]>) -> Option<Answer> {
    let headers = request.headers();
    let method = headers.get(header::ACCESS_CONTROL_REQUEST_METHOD)?;
    let may_be_asked = ASKABLE
        .iter()
        .any(|name| name.as_bytes() == method.as_bytes());
    if request.method() != Method::OPTIONS || !may_be_asked {
        return None;
    }
    let mut given = Answer::default();
    if !allow(headers, origins, given.headers_mut()) {
        return None;
    }
    let asked = headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS);
    let asked = asked
        .and_then(|asked| asked.to_str().ok())
        .unwrap_or_default();
    let asked = asked
        .split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty());
    let names: Vec<&str> = std::iter::once("Authorization").chain(asked).collect();
    let names = format!("{}, {ALWAYS}", names.join(", "));
    put(
        given.headers_mut(),
        header::ACCESS_CONTROL_ALLOW_METHODS,
        METHODS,
    );
    put(
        given.headers_mut(),
        header::ACCESS_CONTROL_ALLOW_HEADERS,
        &names,
    );
    put(given.headers_mut(), header::ACCESS_CONTROL_MAX_AGE, MAX_AGE);
    Some(given)
}

/// Lets a browser see the answer to a request that came from an origin, but not that to OPTIONS:
/// what is to be said there is said already.
pub(super) fn expose(asked: &HeaderMap, origins: Option<&[String]>, given: &mut HeaderMap) {
    if allow(asked, origins, given) {
        put(given, header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
    }
}

/// False if the request comes from no origin, or from one that is not allowed.
fn allow(asked: &HeaderMap, origins: Option<&[String]>, given: &mut HeaderMap) -> bool {
    let Some(origin) = asked.get(header::ORIGIN) else {
        return false;
    };
    let Some(origins) = origins else {
        put(given, header::ACCESS_CONTROL_ALLOW_ORIGIN, "*");
        return true;
    };
    let allowed = origins
        .iter()
        .find(|allowed| allowed.as_bytes() == origin.as_bytes());
    if let Some(allowed) = allowed {
        put(given, header::ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
        put(given, header::ACCESS_CONTROL_ALLOW_CREDENTIALS, "true");
    }
    allowed.is_some()
}

fn put(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}
