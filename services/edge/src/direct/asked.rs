//! Requests of the lane: those of HTTP/1.1 that everybody reads alike, and that ask for nothing but an
//! answer. Everything else is left to the proxy library, which reads the same bytes again.

use http::Method;

use super::head::{self, Head, Line, NoHead, Span};
use crate::admission::MAX_HEAD;

/// Requests with more headers are refused, which is not for the lane to do.
const MAX_HEADERS: usize = 80;
/// Larger bodies are passed on as they come.
const MAX_BODY: u64 = 8 << 10;

/// A request whose bytes are all there.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) head: Head,
    pub(super) method: Method,
    /// Path and query.
    pub(super) target: Span,
    pub(super) path: Span,
    pub(super) host: Span,
    pub(super) origin: Option<Span>,
    pub(super) user_agent: Option<Span>,
    pub(super) content_type: Option<Span>,
    pub(super) request_id: Option<Span>,
    pub(super) traceparent: Option<Span>,
    /// Whether the client wants the connection to end.
    pub(super) closes: bool,
    /// Whether it says how long its body is.
    pub(super) has_length: bool,
    /// Bytes of the body, behind the head.
    pub(super) body: usize,
}

/// What is known of a header by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    Host,
    Origin,
    UserAgent,
    ContentType,
    ContentLength,
    RequestId,
    Traceparent,
    Connection,
    KeepAlive,
    ForwardedFor,
    ForwardedProto,
    ForwardedHost,
    /// Only the edge may set it.
    Ours,
    /// It asks for more than an answer.
    Demand,
    /// Nothing.
    Other,
}

const NAMES: [(&[u8], Known); 21] = [
    (b"host", Known::Host),
    (b"origin", Known::Origin),
    (b"user-agent", Known::UserAgent),
    (b"content-type", Known::ContentType),
    (b"content-length", Known::ContentLength),
    (b"x-request-id", Known::RequestId),
    (b"traceparent", Known::Traceparent),
    (b"connection", Known::Connection),
    (b"keep-alive", Known::KeepAlive),
    (b"x-forwarded-for", Known::ForwardedFor),
    (b"x-forwarded-proto", Known::ForwardedProto),
    (b"x-forwarded-host", Known::ForwardedHost),
    (b"expect", Known::Demand),
    (b"http2-settings", Known::Demand),
    (b"proxy-authenticate", Known::Demand),
    (b"proxy-authorization", Known::Demand),
    (b"proxy-connection", Known::Demand),
    (b"te", Known::Demand),
    (b"trailer", Known::Demand),
    (b"transfer-encoding", Known::Demand),
    (b"upgrade", Known::Demand),
];

/// What is known of that header.
pub(super) fn known(name: &[u8]) -> Known {
    let found = NAMES
        .iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(name));
    let ours = || {
        let start = name.get(..8);
        start.is_some_and(|start| start.eq_ignore_ascii_case(b"x-ingot-"))
    };
    match found {
        Some((_, known)) => *known,
        None if ours() => Known::Ours,
        None => Known::Other,
    }
}

/// The request at the beginning of `bytes`.
pub(super) fn read(bytes: &[u8]) -> Result<Asked, NoHead> {
    let head = match head::read(bytes) {
        Err(NoHead::Partial) if bytes.len() > MAX_HEAD => return Err(NoHead::Odd),
        head => head?,
    };
    let (method, target, path) = start(head.start, bytes)?;
    let mut asked = Asked {
        method,
        target,
        path,
        host: Span::default(),
        origin: None,
        user_agent: None,
        content_type: None,
        request_id: None,
        traceparent: None,
        closes: false,
        has_length: false,
        body: 0,
        head,
    };
    if asked.head.length > MAX_HEAD || asked.head.lines.len() > MAX_HEADERS {
        return Err(NoHead::Odd);
    }
    let (mut hosts, mut length) = (0, None);
    for line in &asked.head.lines {
        let value = line.value.of(bytes);
        match known(line.name.of(bytes)) {
            Known::Host => {
                hosts += 1;
                asked.host = line.value;
            }
            Known::Origin => once(&mut asked.origin, line)?,
            Known::UserAgent => asked.user_agent = Some(line.value),
            Known::ContentType => once(&mut asked.content_type, line)?,
            Known::RequestId => once(&mut asked.request_id, line)?,
            Known::Traceparent => once(&mut asked.traceparent, line)?,
            Known::ContentLength => once(&mut length, line)?,
            Known::Connection if value.eq_ignore_ascii_case(b"close") => asked.closes = true,
            Known::Connection if value.eq_ignore_ascii_case(b"keep-alive") => {}
            Known::Connection | Known::Demand => return Err(NoHead::Odd),
            Known::KeepAlive
            | Known::ForwardedFor
            | Known::ForwardedProto
            | Known::ForwardedHost
            | Known::Ours
            | Known::Other => {}
        }
    }
    if hosts != 1 || !is_host(asked.host.of(bytes)) {
        return Err(NoHead::Odd);
    }
    asked.has_length = length.is_some();
    asked.body = body(length, &asked, bytes)?;
    Ok(asked)
}

impl Asked {
    /// Bytes of it, its body included.
    pub(super) fn length(&self) -> usize {
        self.head.length + self.body
    }

    /// The body.
    pub(super) fn body<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        bytes
            .get(self.head.length..self.length())
            .unwrap_or_default()
    }
}

/// Of headers that may come once, twice is odd.
fn once(place: &mut Option<Span>, line: &Line) -> Result<(), NoHead> {
    match place.replace(line.value) {
        None => Ok(()),
        Some(_) => Err(NoHead::Odd),
    }
}

/// Method, target and path of a request line.
fn start(line: Span, bytes: &[u8]) -> Result<(Method, Span, Span), NoHead> {
    let text = line.of(bytes);
    let mut words = text.split(|byte| *byte == b' ');
    let (method, target) = (words.next(), words.next().unwrap_or_default());
    let is_rest_version = words.next() == Some(b"HTTP/1.1") && words.next().is_none();
    let (method, before) = match method {
        Some(b"GET") => (Method::GET, 4),
        Some(b"HEAD") => (Method::HEAD, 5),
        Some(b"POST") => (Method::POST, 5),
        Some(b"PUT") => (Method::PUT, 4),
        Some(b"PATCH") => (Method::PATCH, 6),
        Some(b"DELETE") => (Method::DELETE, 7),
        _ => return Err(NoHead::Odd),
    };
    let sound = target.starts_with(b"/") && target.iter().all(|byte| is_of_target(*byte));
    if !sound || !is_rest_version {
        return Err(NoHead::Odd);
    }
    let path = target.iter().position(|byte| *byte == b'?');
    let path = path.unwrap_or(target.len());
    Ok((
        method,
        line.part(before, before + target.len())?,
        line.part(before, before + path)?,
    ))
}

/// Length of the body, which has come with the head.
fn body(length: Option<Span>, asked: &Asked, bytes: &[u8]) -> Result<usize, NoHead> {
    let Some(length) = length else {
        return Ok(0);
    };
    let length = head::number(length.of(bytes)).filter(|length| *length <= MAX_BODY);
    let length = usize::try_from(length.ok_or(NoHead::Odd)?).map_err(|_| NoHead::Odd)?;
    if bytes.len() - asked.head.length < length {
        // Waiting for bodies has rules of its own.
        return Err(NoHead::Odd);
    }
    Ok(length)
}

/// Of a path or query (RFC 3986 §3.3, §3.4).
const fn is_of_target(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'-' | b'.'
                | b'_'
                | b'~'
                | b'!'
                | b'$'
                | b'&'
                | b'\''
                | b'('
                | b')'
                | b'*'
                | b'+'
                | b','
                | b';'
                | b'='
                | b':'
                | b'@'
                | b'/'
                | b'?'
                | b'%'
        )
}

/// A name or an address, perhaps with a port.
fn is_host(host: &[u8]) -> bool {
    let sound = |byte: &u8| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b':' | b'[' | b']')
    };
    !host.is_empty() && host.iter().all(sound) && has_one_port(host)
}

/// Colons stand in brackets, or once before digits.
fn has_one_port(host: &[u8]) -> bool {
    let (name, port) = match host.iter().rposition(|byte| *byte == b']') {
        Some(end) => host.split_at(end + 1),
        None => match host.iter().position(|byte| *byte == b':') {
            Some(colon) => host.split_at(colon),
            None => return true,
        },
    };
    let bracketed = name.starts_with(b"[") && name.ends_with(b"]");
    let plain = !name.iter().any(|byte| matches!(byte, b'[' | b']' | b':'));
    let digits = port.strip_prefix(b":").unwrap_or(port);
    let is_port = port.is_empty() || (digits.len() < port.len() && !digits.is_empty());
    (bracketed || plain) && is_port && digits.iter().all(u8::is_ascii_digit) && !name.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(request: &str) -> Result<Asked, NoHead> {
        read(request.as_bytes())
    }

    #[test]
    fn usual_requests_are_for_the_lane() {
        let request = "PATCH /api/x?a=eq.(1,2)&b=%2F HTTP/1.1\r\nHost: a.example:80\r\n\
                       Origin: https://b\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\
                       X-Ingot-Project: forged\r\nConnection: Keep-Alive\r\n\r\n{}GET /next";
        let read = asked(request).unwrap();
        let bytes = request.as_bytes();
        assert_eq!(read.method, Method::PATCH);
        assert_eq!(read.target.of(bytes), b"/api/x?a=eq.(1,2)&b=%2F");
        assert_eq!(read.path.of(bytes), b"/api/x");
        assert_eq!(read.host.of(bytes), b"a.example:80");
        assert_eq!(read.origin.unwrap().of(bytes), b"https://b");
        assert_eq!(read.body(bytes), b"{}");
        assert_eq!(&bytes[read.length()..], b"GET /next");
        assert!(!read.closes);
        assert!(
            asked("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                .unwrap()
                .closes
        );
    }

    #[test]
    fn what_asks_for_more_is_not() {
        for odd in [
            "OPTIONS / HTTP/1.1\r\nHost: a\r\n\r\n",
            "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n",
            "get / HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET / HTTP/1.0\r\nHost: a\r\n\r\n",
            "GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET / HTTP/1.1 \r\nHost: a\r\n\r\n",
            "GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET * HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET /a\"b HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET /\u{e9} HTTP/1.1\r\nHost: a\r\n\r\n",
            "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET / HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a@b\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a:b\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a:1:2\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: \r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, x-forwarded-for\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\nx",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\nx",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nx",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nx",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length : 1\r\n\r\nx",
        ] {
            assert_eq!(asked(odd).unwrap_err(), NoHead::Odd, "{odd:?}");
        }
    }

    #[test]
    fn addresses_are_hosts() {
        for host in [
            "a",
            "a-b.example",
            "127.0.0.1:7130",
            "[::1]",
            "[::1]:80",
            "x_y",
        ] {
            assert!(is_host(host.as_bytes()), "{host}");
        }
        for odd in ["", ":80", "a:", "::1", "[::1", "[::1]80", "a]b", "a[b]:1"] {
            assert!(!is_host(odd.as_bytes()), "{odd}");
        }
    }

    #[test]
    fn heads_that_do_not_end_are_odd_at_last() {
        let mut long = format!(
            "GET / HTTP/1.1\r\nHost: a\r\nX: {}",
            "x".repeat(MAX_HEAD / 2)
        );
        assert_eq!(asked(&long).unwrap_err(), NoHead::Partial);
        long.push_str(&"x".repeat(MAX_HEAD));
        assert_eq!(asked(&long).unwrap_err(), NoHead::Odd);
    }
}
