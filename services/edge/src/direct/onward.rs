//! A request of the lane as it goes to a service: its own lines, except for those that only the edge
//! may write. What the edge writes is what `forward` writes on the other ways.

use std::io::Write;
use std::net::IpAddr;

use super::asked::{Asked, Known, known};
use crate::exchange::Exchange;
use crate::gateway::Gateway;
use ingot_http::header as ingot;

/// Bytes that the edge adds, about.
const ADDED: usize = 512;

/// Where a request of the lane comes from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Origin {
    pub(super) peer: IpAddr,
    pub(super) is_tls: bool,
}

impl Gateway {
    /// The bytes for the service of an admitted request.
    pub(super) fn onward(
        &self,
        asked: &Asked,
        bytes: &[u8],
        exchange: &Exchange,
        from: Origin,
    ) -> Vec<u8> {
        let mut out = Vec::with_capacity(asked.length() + ADDED);
        start(&mut out, asked, bytes, exchange);
        let trusted = exchange.peer_trusted;
        let (mut has_proto, mut has_host, mut chain) = (false, false, Vec::new());
        for line in &asked.head.lines {
            let (name, value) = (line.name.of(bytes), line.value.of(bytes));
            match known(name) {
                Known::ForwardedFor => {
                    if trusted {
                        chain.extend_from_slice(value);
                        chain.extend_from_slice(b", ");
                    }
                    continue;
                }
                Known::ForwardedProto if trusted => has_proto = true,
                Known::ForwardedHost if trusted => has_host = true,
                Known::ForwardedProto
                | Known::ForwardedHost
                | Known::Ours
                | Known::RequestId
                | Known::Traceparent
                | Known::Connection
                | Known::KeepAlive
                | Known::ContentLength
                | Known::Demand => continue,
                Known::Host
                | Known::Origin
                | Known::UserAgent
                | Known::ContentType
                | Known::Other => {}
            }
            put(&mut out, name, value);
        }
        if asked.has_length {
            text(&mut out, b"content-length", asked.body);
        }
        put(
            &mut out,
            ingot::EDGE_KEY.as_bytes(),
            self.edge_key.as_bytes(),
        );
        put(
            &mut out,
            ingot::PROJECT.as_bytes(),
            exchange.project.as_bytes(),
        );
        text(&mut out, ingot::CLIENT_IP.as_bytes(), exchange.client);
        put(
            &mut out,
            ingot::REQUEST_ID.as_bytes(),
            exchange.request_id.as_bytes(),
        );
        put(&mut out, b"traceparent", &exchange.trace.text());
        if chain.is_empty() {
            text(&mut out, b"x-forwarded-for", exchange.client);
        } else {
            // Writing into a vector cannot fail.
            let _infallible = write!(chain, "{}", from.peer.to_canonical());
            put(&mut out, b"x-forwarded-for", &chain);
        }
        if !has_proto {
            let scheme: &[u8] = if from.is_tls { b"https" } else { b"http" };
            put(&mut out, b"x-forwarded-proto", scheme);
        }
        if !has_host {
            put(&mut out, b"x-forwarded-host", asked.host.of(bytes));
        }
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(asked.body(bytes));
        out
    }
}

fn start(out: &mut Vec<u8>, asked: &Asked, bytes: &[u8], exchange: &Exchange) {
    let target = asked.target.of(bytes);
    let rewritten = std::str::from_utf8(target)
        .ok()
        .zip(exchange.found)
        .and_then(|(target, found)| found.rewritten(target));
    out.extend_from_slice(asked.method.as_str().as_bytes());
    out.push(b' ');
    out.extend_from_slice(rewritten.as_ref().map_or(target, String::as_bytes));
    out.extend_from_slice(b" HTTP/1.1\r\n");
}

/// Writes a header.
pub(super) fn put(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// Writes a header whose value has a text of its own.
pub(super) fn text(out: &mut Vec<u8>, name: &[u8], value: impl std::fmt::Display) {
    out.extend_from_slice(name);
    // Writing into a vector cannot fail.
    let _infallible = write!(out, ": {value}\r\n");
}
