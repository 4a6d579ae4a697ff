//! Which headers travel between client and engine.

use http::header::CONNECTION;
use http::{HeaderMap, HeaderName, StatusCode};

/// Headers that concern one connection only (RFC 9110 §7.6.1), besides those that `Connection`
/// names.
const HOP_BY_HOP: &[&str] = &[
    "connection",
    "keep-alive",
    "proxy-connection",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Request headers that are for this service, or that it sets itself: no credential reaches the
/// engine, and so none the database. Without `Accept-Encoding` answers are not compressed.
const NOT_FORWARDED: &[&str] = &[
    "host",
    "content-length",
    "authorization",
    "cookie",
    "expect",
    "accept-encoding",
    "x-api-key",
];

/// The part of a request's headers that the engine gets.
pub(super) fn for_engine(mut headers: HeaderMap) -> HeaderMap {
    remove(&mut headers, |name| {
        NOT_FORWARDED.contains(&name) || name.starts_with("x-ingot-")
    });
    headers
}

/// The part of an answer's headers that the client gets. The edge alone decides about CORS.
pub(super) fn for_client(status: StatusCode, headers: &mut HeaderMap) {
    remove(headers, |name| {
        name == "content-length"
            || name.starts_with("access-control-")
            || (name == "location" && status.is_redirection())
    });
}

/// Removes what concerns the connection only, and what is `unwanted`.
fn remove(headers: &mut HeaderMap, unwanted: impl Fn(&str) -> bool) {
    let named = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok());
    let known = headers.keys().filter(|name| {
        let name = name.as_str();
        HOP_BY_HOP.contains(&name) || unwanted(name)
    });
    let all: Vec<HeaderName> = named.chain(known.cloned()).collect();
    for name in all {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(names: &[(&'static str, &'static str)]) -> HeaderMap {
        names
            .iter()
            .map(|(name, value)| {
                (
                    HeaderName::from_static(name),
                    http::HeaderValue::from_static(value),
                )
            })
            .collect()
    }

    fn names(headers: &HeaderMap) -> Vec<&str> {
        headers.keys().map(HeaderName::as_str).collect()
    }

    #[test]
    fn credentials_and_connection_headers_stay_here() {
        let sent = for_engine(headers(&[
            ("prefer", "return=representation"),
            ("accept-profile", "sales"),
            ("host", "app.example.com"),
            ("cookie", "insforge_refresh_token=x"),
            ("authorization", "Bearer ik_x"),
            ("x-api-key", "ik_x"),
            ("x-ingot-edge-key", "k"),
            ("connection", "x-hop, keep-alive"),
            ("x-hop", "1"),
            ("transfer-encoding", "chunked"),
            ("content-length", "3"),
        ]));
        assert_eq!(names(&sent), ["prefer", "accept-profile"]);
    }

    #[test]
    fn answers_keep_what_describes_the_rows() {
        let upstream = headers(&[
            ("content-range", "0-1/2"),
            ("preference-applied", "count=exact"),
            ("location", "/t?id=eq.1"),
            ("access-control-allow-origin", "*"),
            ("connection", "close"),
            ("content-length", "2"),
        ]);
        let mut created = upstream.clone();
        for_client(StatusCode::CREATED, &mut created);
        assert_eq!(
            names(&created),
            ["content-range", "preference-applied", "location"]
        );
        let mut moved = upstream;
        for_client(StatusCode::FOUND, &mut moved);
        assert!(moved.get("location").is_none());
    }
}
