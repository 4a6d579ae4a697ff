//! Request ids and W3C trace context (<https://www.w3.org/TR/trace-context/>).
//!
//! A client may name the trace that it is part of; its request id is kept only when it is a UUID,
//! so that nothing else can be smuggled into logs.

use http::{HeaderMap, HeaderValue};
use pingora::http::RequestHeader;
use uuid::Uuid;

/// Header that carries the trace (W3C).
pub(crate) const TRACEPARENT: &str = "traceparent";

/// The id of a request: the client's when it is a UUID, else a new one.
pub(crate) fn request_id(named: Option<&[u8]>) -> HeaderValue {
    if let Some(named) = named
        && named.len() == 36
        && Uuid::try_parse_ascii(named).is_ok()
        && let Ok(value) = HeaderValue::from_bytes(named)
    {
        return value;
    }
    let mut text = [0; 36];
    uuid::Builder::from_random_bytes(rand::random())
        .as_uuid()
        .hyphenated()
        .encode_lower(&mut text);
    // Hexadecimal digits and dashes are always a header value.
    HeaderValue::from_bytes(&text).unwrap_or_else(|_| HeaderValue::from_static("unknown"))
}

/// The place of a request in a trace.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Trace {
    id: [u8; 32],
    span: [u8; 16],
    sampled: bool,
}

/// The span of a request where traces are exported; a child of the client's, if it names one.
pub(crate) fn server_span(request: &RequestHeader) -> tracing::Span {
    let span = tracing::info_span!(
        "edge.request",
        otel.kind = "server",
        http.request.method = request.method.as_str(),
        url.path = request.uri.path(),
        http.response.status_code = tracing::field::Empty,
    );
    ingot_telemetry::parent_from(&span, &request.headers);
    span
}

impl Trace {
    /// A place in no trace.
    pub(crate) const fn none() -> Self {
        Self {
            id: [b'0'; 32],
            span: [b'0'; 16],
            sampled: false,
        }
    }

    /// Continues the trace that the client names, or starts one.
    pub(crate) fn of(parent: Option<&[u8]>) -> Self {
        let span = hex(rand::random::<u64>());
        match parent.and_then(Self::parse) {
            Some(parent) => Self { span, ..parent },
            None => Self {
                id: wide_hex(rand::random::<u128>()),
                span,
                sampled: true,
            },
        }
    }

    /// The place of a span that is exported.
    pub(crate) fn of_span(exported: &tracing::Span) -> Self {
        let mut headers = HeaderMap::new();
        exported.in_scope(|| ingot_telemetry::inject(&mut headers));
        headers
            .get(TRACEPARENT)
            .and_then(|v| Self::parse(v.as_bytes()))
            .unwrap_or_else(|| Self::of(None))
    }

    /// A well-formed `traceparent` of version 00.
    fn parse(header: &[u8]) -> Option<Self> {
        let [b'0', b'0', b'-', rest @ ..] = header else {
            return None;
        };
        let (id, rest) = rest.split_first_chunk::<32>()?;
        let (b"-", rest) = rest.split_at_checked(1)? else {
            return None;
        };
        let (span, rest) = rest.split_first_chunk::<16>()?;
        let [b'-', high, low] = rest else {
            return None;
        };
        let hexadecimal = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        let sound = id.iter().chain(span).chain([high, low]).all(hexadecimal)
            && id.iter().any(|byte| *byte != b'0')
            && span.iter().any(|byte| *byte != b'0');
        let sampled = char::from(*low).to_digit(16)? & 1 == 1;
        sound.then_some(Self {
            id: *id,
            span: *span,
            sampled,
        })
    }

    /// The trace's id in hexadecimal.
    pub(crate) fn id(&self) -> &str {
        std::str::from_utf8(&self.id).unwrap_or_default()
    }

    /// The header for the next service.
    pub(crate) fn header(&self) -> HeaderValue {
        HeaderValue::from_bytes(&self.text()).unwrap_or_else(|_| HeaderValue::from_static(""))
    }

    /// The same as bytes.
    pub(crate) fn text(&self) -> [u8; 55] {
        let mut text = *b"00-00000000000000000000000000000000-0000000000000000-00";
        if let Some(place) = text.get_mut(3..35) {
            place.copy_from_slice(&self.id);
        }
        if let Some(place) = text.get_mut(36..52) {
            place.copy_from_slice(&self.span);
        }
        if self.sampled
            && let Some(flag) = text.last_mut()
        {
            *flag = b'1';
        }
        text
    }
}

fn hex(number: u64) -> [u8; 16] {
    let mut digits = [b'0'; 16];
    // Zero is not a valid id; it is drawn once in 2^64 times.
    write_hex(u128::from(number.max(1)), &mut digits);
    digits
}

fn wide_hex(number: u128) -> [u8; 32] {
    let mut digits = [b'0'; 32];
    write_hex(number.max(1), &mut digits);
    digits
}

fn write_hex(mut number: u128, digits: &mut [u8]) {
    for digit in digits.iter_mut().rev() {
        let value = (number & 0xf) as u8;
        *digit = if value < 10 {
            b'0' + value
        } else {
            b'a' + value - 10
        };
        number >>= 4;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_named_trace_goes_on_under_a_new_span() {
        let header = Trace::of(Some(PARENT.as_bytes())).header();
        let header = header.to_str().unwrap();
        assert!(header.starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-"));
        assert!(header.ends_with("-01") && !header.contains("00f067aa0ba902b7"));
        assert_eq!(header.len(), PARENT.len());
    }

    #[test]
    fn malformed_traces_are_replaced() {
        for broken in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
        ] {
            let trace = Trace::of(Some(broken.as_bytes()));
            assert_ne!(
                trace.id().to_ascii_lowercase(),
                "4bf92f3577b34da6a3ce929d0e0e4736"
            );
            assert!(
                Trace::parse(trace.header().as_bytes()).is_some(),
                "{broken}"
            );
        }
    }

    #[test]
    fn only_a_uuid_survives_as_request_id() {
        let known = "9f1c3c9e-6c0a-4e43-9d7c-0d4a3f1f2b11";
        assert_eq!(request_id(Some(known.as_bytes())), known);
        let made = request_id(Some(b"x\" injected=1 aaaaaaaaaaaaaaaaaaaaaa"));
        assert!(Uuid::parse_str(made.to_str().unwrap()).is_ok());
        assert_ne!(request_id(None), request_id(None));
    }
}
