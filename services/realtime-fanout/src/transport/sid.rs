//! Session ids that tell where the session lives: the node's name, then the library's id.
//!
//! The edge sends a request with such an id to its node without knowing any session. Only polling
//! needs it: a websocket stays where it is. The id of a websocket that was opened as such is never
//! sent again and stays as it is.

use axum::body::{Body, to_bytes};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::CONTENT_LENGTH;

use crate::node::NodeId;

/// Start of the packet that opens a session.
const OPEN: &[u8] = br#"0{"sid":""#;
/// Longest such packet.
const MAX_OPEN: usize = 4096;

/// The session that a request belongs to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Session {
    /// It opens one.
    New,
    /// One of this node.
    Ours {
        /// The query with the library's own id in it.
        query: String,
    },
    /// One of another node, or of none.
    Foreign,
}

impl Session {
    /// Reads the query of a request.
    pub(super) fn of(query: &str, node: &NodeId) -> Self {
        let Some(sid) = parameter(query, "sid") else {
            return Self::New;
        };
        match sid.strip_prefix(node.as_str()) {
            Some(own) => Self::Ours {
                query: query.replacen(&format!("sid={sid}"), &format!("sid={own}"), 1),
            },
            None => Self::Foreign,
        }
    }
}

/// The first value of a query parameter, as it stands there.
pub(super) fn parameter<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    query
        .split('&')
        .find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
}

/// Puts the node's name before the session id in the answer that opens a polling session.
pub(super) async fn prefix(response: Response, node: &NodeId) -> Response {
    if response.status() != StatusCode::OK {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let Ok(packet) = to_bytes(body, MAX_OPEN).await else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let named = match packet.strip_prefix(OPEN) {
        Some(rest) => [OPEN, node.as_str().as_bytes(), rest].concat(),
        None => packet.to_vec(),
    };
    parts.headers.remove(CONTENT_LENGTH);
    Response::from_parts(parts, Body::from(named))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_nodes_sessions_are_ours() {
        let node = NodeId::of("abcdEF12");
        assert_eq!(Session::of("EIO=4&transport=polling", &node), Session::New);
        assert_eq!(
            Session::of("EIO=4&sid=abcdEF12xyz&transport=polling", &node),
            Session::Ours {
                query: "EIO=4&sid=xyz&transport=polling".to_owned()
            }
        );
        for foreign in ["sid=", "sid=xyz", "sid=otherABCxyz", "EIO=4&sid=%00"] {
            assert_eq!(Session::of(foreign, &node), Session::Foreign, "{foreign}");
        }
    }

    #[tokio::test]
    async fn the_open_packet_gets_the_nodes_name() {
        let node = NodeId::of("abcdEF12");
        let response = Response::new(Body::from(r#"0{"sid":"xyz","upgrades":[]}"#));
        let named = prefix(response, &node).await;
        let body = to_bytes(named.into_body(), 4096).await.unwrap();
        assert_eq!(&body[..], br#"0{"sid":"abcdEF12xyz","upgrades":[]}"#);
    }
}
