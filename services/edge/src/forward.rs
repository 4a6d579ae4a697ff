//! The header contract towards the services: what is taken off a request, what is put on it, and
//! what is put on the answer.

use std::net::{IpAddr, SocketAddr};

use http::header::{self, HeaderName};
use http::{HeaderMap, HeaderValue};
use ingot_http::header as ingot;
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::proxy::Session;

use crate::exchange::Exchange;
use crate::gateway::Gateway;
use crate::headers::{edit_request, edit_response};
use crate::tls::is_tls;
use crate::trace;
use crate::{client_address, cors};

/// Prefix of headers that only the edge may set.
const OURS: &str = "x-ingot-";

// As names, not texts: what is set on every request is not parsed on every request.
const EDGE_KEY: HeaderName = HeaderName::from_static(ingot::EDGE_KEY);
const PROJECT: HeaderName = HeaderName::from_static(ingot::PROJECT);
const CLIENT_IP: HeaderName = HeaderName::from_static(ingot::CLIENT_IP);
const REQUEST_ID: HeaderName = HeaderName::from_static(ingot::REQUEST_ID);
const TRACEPARENT: HeaderName = HeaderName::from_static(trace::TRACEPARENT);
const FORWARDED_FOR: HeaderName = HeaderName::from_static(client_address::FORWARDED_FOR);
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const RATE_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit-limit");
const RATE_REMAINING: HeaderName = HeaderName::from_static("ratelimit-remaining");
const RATE_RESET: HeaderName = HeaderName::from_static("ratelimit-reset");

/// Headers that a request gets here.
const OUR_REQUEST_HEADERS: usize = 8;
/// Headers that an answer gets here and on its way out.
const OUR_ANSWER_HEADERS: usize = 12;

impl Gateway {
    /// Makes a client's request the edge's own.
    pub(crate) fn prepare_request(
        &self,
        session: &Session,
        exchange: &Exchange,
        request: &mut RequestHeader,
    ) -> pingora::Result<()> {
        if let Some(target) = exchange
            .found
            .and_then(|found| found.rewritten(request.uri.path_and_query()?.as_str()))
        {
            request.set_raw_path(target.as_bytes())?;
        }
        let peer = session.client_addr().and_then(|address| address.as_inet());
        let peer = peer.map(SocketAddr::ip);
        let scheme = if is_tls(session) { "https" } else { "http" };
        edit_request(request, |headers| {
            strip_ours(headers);
            // All at once, not in steps as they come.
            headers.reserve(OUR_REQUEST_HEADERS);
            headers.insert(EDGE_KEY, self.edge_key.clone());
            headers.insert(PROJECT, exchange.project.clone());
            let client = address_value(exchange.client);
            set_forwarded(headers, exchange.peer_trusted, peer, &client, scheme);
            headers.insert(CLIENT_IP, client);
            headers.insert(REQUEST_ID, exchange.request_id.clone());
            headers.insert(TRACEPARENT, exchange.trace.header());
        })
    }

    /// Marks an answer, a service's or the edge's own.
    pub(crate) fn prepare_answer(
        &self,
        session: &mut Session,
        exchange: &Exchange,
        response: &mut ResponseHeader,
    ) {
        let own_origin = exchange.found.is_some_and(|found| found.route.own_origin);
        let is_final = !response.status.is_informational();
        edit_response(response, |headers| {
            // All at once, not in steps as they come.
            headers.reserve(OUR_ANSWER_HEADERS);
            let origin = session.req_header().headers.get(header::ORIGIN);
            cors::mark(headers, origin, own_origin);
            self.tls.mark(session, headers);
            self.prepare_connection(session, is_final, headers);
            headers.insert(REQUEST_ID, exchange.request_id.clone());
            let Some(quota) = exchange.quota else {
                return;
            };
            // A service's own limit is the narrower one, and what the client has to know.
            if !headers.contains_key(RATE_LIMIT) {
                headers.insert(RATE_POLICY, self.rate_policy.clone());
                headers.insert(RATE_LIMIT, self.rate_limit.clone());
                headers.insert(RATE_REMAINING, HeaderValue::from(quota.remaining));
                headers.insert(RATE_RESET, HeaderValue::from(quota.reset));
            }
        });
    }

    /// How long the connection stays open after this answer.
    pub(crate) fn prepare_connection(
        &self,
        session: &mut Session,
        is_final: bool,
        headers: &mut HeaderMap,
    ) {
        if self.flights.draining() {
            session.set_keepalive(None);
        } else if session.get_keepalive().is_some() && is_final {
            session.set_keepalive(Some(self.keep_alive_seconds));
            headers.insert(KEEP_ALIVE, self.keep_alive.clone());
        }
    }
}

fn strip_ours(headers: &mut HeaderMap) {
    let is_ours = |name: &&HeaderName| name.as_str().starts_with(OURS);
    let forged: Vec<HeaderName> = headers.keys().filter(is_ours).cloned().collect();
    for name in &forged {
        headers.remove(name);
    }
}

/// `X-Forwarded-*`: continued behind a proxy that is believed, started anew otherwise.
fn set_forwarded(
    headers: &mut HeaderMap,
    peer_trusted: bool,
    peer: Option<IpAddr>,
    client: &HeaderValue,
    scheme: &'static str,
) {
    let chain = match peer {
        Some(peer) if peer_trusted => continued_chain(headers, peer),
        _ => None,
    };
    headers.insert(FORWARDED_FOR, chain.unwrap_or_else(|| client.clone()));
    if !(peer_trusted && headers.contains_key(FORWARDED_PROTO)) {
        headers.insert(FORWARDED_PROTO, HeaderValue::from_static(scheme));
    }
    if !(peer_trusted && headers.contains_key(FORWARDED_HOST)) {
        match headers.get(header::HOST).cloned() {
            Some(host) => headers.insert(FORWARDED_HOST, host),
            None => headers.remove(FORWARDED_HOST),
        };
    }
}

/// The chain that came, with the peer at its end; `None` where none came.
fn continued_chain(headers: &HeaderMap, peer: IpAddr) -> Option<HeaderValue> {
    let mut chain = String::new();
    for line in headers.get_all(FORWARDED_FOR) {
        chain.push_str(&String::from_utf8_lossy(line.as_bytes()));
        chain.push_str(", ");
    }
    if chain.is_empty() {
        return None;
    }
    chain.push_str(&peer.to_canonical().to_string());
    HeaderValue::try_from(chain).ok()
}

fn address_value(address: IpAddr) -> HeaderValue {
    // Digits, dots, colons: always a header value.
    HeaderValue::try_from(address.to_string()).unwrap_or_else(|_| HeaderValue::from_static(""))
}
