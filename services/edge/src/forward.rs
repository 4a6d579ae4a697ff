//! The header contract towards the services: what is taken off a request, what is put on it, and
//! what is put on the answer.

use http::HeaderValue;
use http::header::{self, HeaderName};
use ingot_http::header as ingot;
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::proxy::Session;

use crate::client_address::FORWARDED_FOR;
use crate::cors;
use crate::exchange::Exchange;
use crate::gateway::Gateway;
use crate::trace::TRACEPARENT;

/// Prefix of headers that only the edge may set.
const OURS: &str = "x-ingot-";

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
        strip_ours(request);
        request.insert_header(ingot::EDGE_KEY, self.edge_key.clone())?;
        request.insert_header(ingot::PROJECT, exchange.project.clone())?;
        let client = address_value(exchange.client);
        set_forwarded(session, exchange, request, &client)?;
        request.insert_header(ingot::CLIENT_IP, client)?;
        request.insert_header(ingot::REQUEST_ID, exchange.request_id.clone())?;
        request.insert_header(TRACEPARENT, exchange.trace.header())?;
        Ok(())
    }

    /// Marks an answer, a service's or the edge's own.
    pub(crate) fn prepare_answer(
        &self,
        session: &mut Session,
        exchange: &Exchange,
        response: &mut ResponseHeader,
    ) -> pingora::Result<()> {
        let own_origin = exchange.found.is_some_and(|found| found.route.own_origin);
        let origin = session.req_header().headers.get(header::ORIGIN);
        cors::mark(response, origin, own_origin)?;
        self.prepare_connection(session, response)?;
        response.insert_header("X-Request-Id", exchange.request_id.clone())?;
        let Some(quota) = exchange.quota else {
            return Ok(());
        };
        // A service's own limit is the narrower one, and what the client has to know.
        if !response.headers.contains_key("ratelimit-limit") {
            response.insert_header("RateLimit-Policy", self.rate_policy.clone())?;
            response.insert_header("RateLimit-Limit", self.rate_limit.clone())?;
            response.insert_header("RateLimit-Remaining", HeaderValue::from(quota.remaining))?;
            response.insert_header("RateLimit-Reset", HeaderValue::from(quota.reset))?;
        }
        Ok(())
    }

    /// How long the connection stays open after this answer.
    pub(crate) fn prepare_connection(
        &self,
        session: &mut Session,
        response: &mut ResponseHeader,
    ) -> pingora::Result<()> {
        if self.flights.draining() {
            session.set_keepalive(None);
        } else if session.get_keepalive().is_some() && !response.status.is_informational() {
            session.set_keepalive(Some(self.keep_alive_seconds));
            response.insert_header("Keep-Alive", self.keep_alive.clone())?;
        }
        Ok(())
    }
}

fn strip_ours(request: &mut RequestHeader) {
    if !request
        .headers
        .keys()
        .any(|name| name.as_str().starts_with(OURS))
    {
        return;
    }
    let forged: Vec<HeaderName> = request
        .headers
        .keys()
        .filter(|name| name.as_str().starts_with(OURS))
        .cloned()
        .collect();
    for name in &forged {
        request.remove_header(name);
    }
}

/// `X-Forwarded-*`: continued behind a proxy that is believed, started anew otherwise.
fn set_forwarded(
    session: &Session,
    exchange: &Exchange,
    request: &mut RequestHeader,
    client: &HeaderValue,
) -> pingora::Result<()> {
    let peer = session.client_addr().and_then(|address| address.as_inet());
    match (
        exchange.peer_trusted && request.headers.contains_key(FORWARDED_FOR),
        peer,
    ) {
        (true, Some(peer)) => {
            let mut chain = String::new();
            for line in request.headers.get_all(FORWARDED_FOR) {
                chain.push_str(&String::from_utf8_lossy(line.as_bytes()));
                chain.push_str(", ");
            }
            chain.push_str(&peer.ip().to_canonical().to_string());
            request.insert_header("X-Forwarded-For", chain)?;
        }
        _ => request.insert_header("X-Forwarded-For", client.clone())?,
    }
    if !(exchange.peer_trusted && request.headers.contains_key("x-forwarded-proto")) {
        request.insert_header("X-Forwarded-Proto", HeaderValue::from_static("http"))?;
    }
    if !(exchange.peer_trusted && request.headers.contains_key("x-forwarded-host")) {
        match request.headers.get(header::HOST).cloned() {
            Some(host) => request.insert_header("X-Forwarded-Host", host)?,
            None => drop(request.remove_header("x-forwarded-host")),
        }
    }
    Ok(())
}

fn address_value(address: std::net::IpAddr) -> HeaderValue {
    // Digits, dots, colons: always a header value.
    HeaderValue::from_str(&address.to_string()).unwrap_or_else(|_| HeaderValue::from_static(""))
}
