//! Heads of answers in the lane: the service's lines, and those that the edge writes on every answer
//! (see `forward`).

use http::StatusCode;
use pingora::http::ResponseHeader;
use pingora::protocols::http::date::get_cached_date;

use super::connection::Answer;
use super::framing::Framing;
use super::onward::{put, text};
use crate::cors;
use crate::exchange::Exchange;
use crate::gateway::Gateway;

/// Bytes that the edge adds, about, and those of a small body.
const ADDED: usize = 1536;

/// What the edge writes on an answer.
pub(super) struct Marks<'a> {
    pub(super) gateway: &'a Gateway,
    pub(super) exchange: &'a Exchange,
    /// The request's `Origin`.
    pub(super) origin: Option<&'a [u8]>,
    pub(super) is_tls: bool,
    /// Whether the connection stays open.
    pub(super) keeps: bool,
}

/// What a service has said itself.
#[derive(Debug, Default)]
struct Said {
    date: bool,
    varies: bool,
    rate_limit: bool,
}

/// What becomes of a service's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Passes,
    /// The edge has its own, or none.
    Dropped,
    Length,
    Date,
    Vary,
    RateLimit,
    Transport,
}

const FATES: [(&[u8], Fate); 13] = [
    (b"connection", Fate::Dropped),
    (b"keep-alive", Fate::Dropped),
    (b"proxy-connection", Fate::Dropped),
    (b"te", Fate::Dropped),
    (b"trailer", Fate::Dropped),
    (b"transfer-encoding", Fate::Dropped),
    (b"upgrade", Fate::Dropped),
    (b"x-request-id", Fate::Dropped),
    (b"content-length", Fate::Length),
    (b"date", Fate::Date),
    (b"vary", Fate::Vary),
    (b"ratelimit-limit", Fate::RateLimit),
    (b"strict-transport-security", Fate::Transport),
];

fn fate(name: &[u8]) -> Fate {
    const CORS: &[u8] = b"access-control-";
    let found = FATES
        .iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(name));
    let start = name.get(..CORS.len());
    match found {
        Some((_, fate)) => *fate,
        None if start.is_some_and(|start| start.eq_ignore_ascii_case(CORS)) => Fate::Dropped,
        None => Fate::Passes,
    }
}

impl Marks<'_> {
    /// The head of a service's answer, whose own stands in `bytes`.
    pub(super) fn on(&self, answer: &Answer, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(answer.head.length + ADDED);
        start(&mut out, answer.status);
        let mut said = Said::default();
        for line in &answer.head.lines {
            let (name, value) = (line.name.of(bytes), line.value.of(bytes));
            let passes = match fate(name) {
                Fate::Passes => true,
                Fate::Dropped => false,
                // Of a body that is not sent.
                Fate::Length => answer.framing == Framing::Length(0),
                Fate::Date => !std::mem::replace(&mut said.date, true),
                Fate::Vary => {
                    said.varies |= cors::names_origin(value);
                    true
                }
                Fate::RateLimit => {
                    said.rate_limit = true;
                    true
                }
                Fate::Transport => self.transport().is_none(),
            };
            if passes {
                put(&mut out, name, value);
            }
        }
        match answer.framing {
            Framing::Length(0) => {}
            Framing::Length(length) => text(&mut out, b"content-length", length),
            Framing::Chunked(_) | Framing::UntilTheEnd => {
                put(&mut out, b"transfer-encoding", b"chunked");
            }
        }
        self.finish(&mut out, &said);
        out
    }

    /// The head of an answer of the edge's own.
    pub(super) fn on_own(&self, response: &ResponseHeader) -> Vec<u8> {
        let mut out = Vec::with_capacity(ADDED);
        start(&mut out, response.status.as_u16());
        for (name, value) in &response.headers {
            put(&mut out, name.as_str().as_bytes(), value.as_bytes());
        }
        self.finish(&mut out, &Said::default());
        out
    }

    fn finish(&self, out: &mut Vec<u8>, said: &Said) {
        let (gateway, exchange) = (self.gateway, self.exchange);
        if !said.date {
            put(out, b"date", get_cached_date().as_bytes());
        }
        if let Some(origin) = self.origin {
            put(out, b"access-control-allow-origin", origin);
        }
        put(out, b"access-control-allow-credentials", b"true");
        put(
            out,
            b"access-control-expose-headers",
            cors::EXPOSED.as_bytes(),
        );
        if !said.varies {
            put(out, b"vary", b"Origin");
        }
        if let Some(transport) = self.transport() {
            put(out, b"strict-transport-security", transport);
        }
        if self.keeps {
            put(out, b"connection", b"keep-alive");
            put(out, b"keep-alive", gateway.keep_alive.as_bytes());
        } else {
            put(out, b"connection", b"close");
        }
        put(out, b"x-request-id", exchange.request_id.as_bytes());
        // A service's own limit is the narrower one, and what the client has to know.
        if let (Some(quota), false) = (exchange.quota, said.rate_limit) {
            put(out, b"ratelimit-policy", gateway.rate_policy.as_bytes());
            put(out, b"ratelimit-limit", gateway.rate_limit.as_bytes());
            text(out, b"ratelimit-remaining", quota.remaining);
            text(out, b"ratelimit-reset", quota.reset);
        }
        out.extend_from_slice(b"\r\n");
    }

    fn transport(&self) -> Option<&[u8]> {
        let hsts = self.gateway.tls.hsts().filter(|_| self.is_tls)?;
        Some(hsts.as_bytes())
    }
}

fn start(out: &mut Vec<u8>, status: u16) {
    let reason = StatusCode::from_u16(status).ok();
    let reason = reason.and_then(|status| status.canonical_reason());
    out.extend_from_slice(b"HTTP/1.1 ");
    let digit = |value: u16| b'0' + (value % 10) as u8;
    out.extend_from_slice(&[digit(status / 100), digit(status / 10), digit(status), b' ']);
    out.extend_from_slice(reason.unwrap_or_default().as_bytes());
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_edge_says_itself_is_not_passed_on() {
        for name in [
            "Connection",
            "keep-alive",
            "Access-Control-Allow-Origin",
            "X-Request-ID",
        ] {
            assert_eq!(fate(name.as_bytes()), Fate::Dropped, "{name}");
        }
        for name in [
            "content-type",
            "etag",
            "access-control",
            "x-ingot-node",
            "server",
        ] {
            assert_eq!(fate(name.as_bytes()), Fate::Passes, "{name}");
        }
    }

    #[test]
    fn statuses_are_written_with_their_names() {
        for (status, line) in [
            (200, "HTTP/1.1 200 OK\r\n"),
            (404, "HTTP/1.1 404 Not Found\r\n"),
            (499, "HTTP/1.1 499 \r\n"),
        ] {
            let mut out = Vec::new();
            start(&mut out, status);
            assert_eq!(out, line.as_bytes());
        }
    }
}
