//! What happens to a request before it may go on: the checks in the order in which they are made.

use std::time::Duration;

use http::{HeaderValue, Method, Version, header};
use ingot_http::header::REQUEST_ID;
use ingot_http::{ApiError, continues_session};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::proxy::Session;

use crate::client_address::{FORWARDED_FOR, client_address, trusts_peer};
use crate::exchange::Exchange;
use crate::gateway::Gateway;
use crate::limit::Key;
use crate::routes::{self, Body, Service};
use crate::session::NodeId;
use crate::trace::{TRACEPARENT, Trace, request_id, server_span};
use crate::{answer, cors};

/// Request line and headers together (contract, platform §1.2).
pub(crate) const MAX_HEAD: usize = 16 << 10;
/// The services read 100 headers at most, and the edge adds its own.
const MAX_HEADERS: usize = 80;
/// What a header costs on the wire besides its name and value: `: ` and CRLF.
const HEADER_OVERHEAD: usize = 4;

/// A client that takes no byte of its answer for so long is gone.
pub(crate) const TAKES_NOTHING: Duration = Duration::from_mins(1);
/// How long the rest of a body is read that the service did not want, to keep the connection.
const UNREAD_REST: Duration = Duration::from_secs(5);

/// What becomes of a request.
pub(crate) enum Admission {
    /// It goes to a service.
    Proceed,
    /// It is a preflight, or has to come again over TLS.
    Answered(Box<ResponseHeader>),
}

/// Limit key of requests whose host leads to no project.
const NO_PROJECT: u64 = 0;

impl Gateway {
    /// Fills the exchange and decides; an error is the answer to the client.
    pub(crate) fn admit(
        &self,
        session: &mut Session,
        exchange: &mut Exchange,
    ) -> Result<Admission, ApiError> {
        self.identify(session, exchange);
        let request = session.req_header();
        if let Some(elsewhere) = self.tls.redirect(session, exchange.peer_trusted) {
            return Ok(Admission::Answered(Box::new(elsewhere)));
        }
        if request.method == Method::OPTIONS {
            let preflight = cors::preflight(request).map_err(|error| ApiError::internal(&error))?;
            return Ok(Admission::Answered(Box::new(preflight)));
        }
        if head_size(request) > MAX_HEAD {
            return Err(answer::head_too_large(MAX_HEAD));
        }
        if request.headers.len() > MAX_HEADERS {
            return Err(answer::too_many_headers(MAX_HEADERS));
        }
        if self.budget.is_exhausted() && !continues_session(&request.uri) {
            return Err(ApiError::overloaded());
        }
        let project = host(request).and_then(|host| self.hosts.find(host));
        exchange.found = routes::find(request.uri.path());
        // What leads nowhere counts as well: it is work all the same.
        let limited = exchange.found.is_none_or(|found| found.route.limited);
        if limited || project.is_none() {
            let limit_key = project.map_or(NO_PROJECT, |project| project.limit_key);
            let quota = self.limit.count(Key::new(limit_key, exchange.client));
            exchange.quota = Some(quota);
            if quota.exceeded {
                return Err(answer::too_many_requests(quota.reset));
            }
        }
        exchange.project = project.ok_or_else(answer::unknown_host)?.header.clone();
        let found = exchange
            .found
            .ok_or_else(|| answer::unknown_route(session))?;
        if found.route.body == Body::Bounded {
            let kind = request.headers.get(header::CONTENT_TYPE);
            let is_form = kind.is_some_and(|kind| is_form(kind.as_bytes()));
            exchange.body_limit = self.body_limit(is_form);
            if content_length(request).is_some_and(|length| length > exchange.body_limit) {
                return Err(answer::body_too_large(exchange.body_limit));
            }
        }
        if found.route.service == Service::Realtime {
            exchange.node = request.uri.query().and_then(NodeId::of_query);
        }
        exchange.upgrade = asks_for_websocket(request);
        let client = session.as_downstream_mut();
        client.set_write_timeout(Some(TAKES_NOTHING));
        client.set_total_drain_timeout(Some(UNREAD_REST));
        // A WebSocket may be silent for as long as both sides like.
        let silence = (!exchange.upgrade).then_some(self.settings.body_wait.0);
        client.set_read_timeout(silence);
        Ok(Admission::Proceed)
    }

    /// Who asks, under which id, in which trace.
    fn identify(&self, session: &Session, exchange: &mut Exchange) {
        let headers = &session.req_header().headers;
        if let Some(peer) = session.client_addr().and_then(|address| address.as_inet()) {
            let trust = &self.settings.trust_proxy;
            let forwarded = headers.get_all(FORWARDED_FOR).iter();
            let forwarded = forwarded.map(HeaderValue::as_bytes);
            exchange.client = client_address(peer.ip(), forwarded, trust);
            exchange.peer_trusted = trusts_peer(trust, peer.ip());
        }
        let id = headers.get(REQUEST_ID).map(HeaderValue::as_bytes);
        exchange.request_id = request_id(id);
        if self.exports_traces {
            exchange.span = server_span(session.req_header());
            exchange.trace = Trace::of_span(&exchange.span);
        } else {
            let parent = headers.get(TRACEPARENT).map(HeaderValue::as_bytes);
            exchange.trace = Trace::of(parent);
        }
    }

    /// Largest body, in bytes, where bodies are bounded.
    pub(crate) fn body_limit(&self, is_form: bool) -> u64 {
        if is_form {
            self.bodies.max_form.0
        } else {
            self.bodies.max_json.0
        }
    }
}

fn asks_for_websocket(request: &RequestHeader) -> bool {
    request.method == Method::GET
        && request.version == Version::HTTP_11
        && request
            .headers
            .get(header::UPGRADE)
            .is_some_and(|protocol| protocol.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

/// Whether a body of that type is a form's.
pub(crate) fn is_form(content_type: &[u8]) -> bool {
    const FORM: &[u8] = b"application/x-www-form-urlencoded";
    let start = content_type.get(..FORM.len());
    start.is_some_and(|start| start.eq_ignore_ascii_case(FORM))
}

fn host(request: &RequestHeader) -> Option<&str> {
    match request.headers.get(header::HOST) {
        Some(host) => host.to_str().ok(),
        None => Some(
            request
                .uri
                .authority()
                .map_or("", |authority| authority.as_str()),
        ),
    }
}

fn content_length(request: &RequestHeader) -> Option<u64> {
    let length = request.headers.get(header::CONTENT_LENGTH)?;
    length.to_str().ok()?.parse().ok()
}

fn head_size(request: &RequestHeader) -> usize {
    let headers = request.headers.iter();
    let headers: usize = headers
        .map(|(name, value)| name.as_str().len() + value.len() + HEADER_OVERHEAD)
        .sum();
    request.raw_path().len() + headers
}
