//! Socket.IO packets as text: <https://socket.io/docs/v4/socket-io-protocol/#packet-encoding>.
//! Bodies are JSON text already, which is passed on untouched.

use std::fmt;
use std::sync::{Arc, OnceLock};

use engineioxide::Str;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::client::SocketId;

/// First byte of a WebSocket frame that holds a whole text (RFC 6455 §5.2).
const WHOLE_TEXT: u8 = 0x81;
/// The Engine.IO packet that carries Socket.IO's.
const MESSAGE: char = '4';

/// What is sent to one socket or to many: encoded once, as the bytes of a WebSocket frame. For
/// polling sockets its text is made once.
#[derive(Clone)]
pub(crate) struct Frame(Arc<Encoded>);

struct Encoded {
    wire: Box<[u8]>,
    /// Where the Socket.IO packet begins.
    start: usize,
    text: OnceLock<Str>,
}

impl Frame {
    /// A Socket.IO packet.
    pub(crate) fn packet(text: &str) -> Self {
        Self::engine_packet(MESSAGE, text)
    }

    /// An Engine.IO packet; those that are no message go to websockets only.
    pub(crate) fn engine_packet(kind: char, text: &str) -> Self {
        let length = text.len() + 1;
        let mut wire = Vec::with_capacity(length + 10);
        wire.push(WHOLE_TEXT);
        match (u8::try_from(length), u16::try_from(length)) {
            (Ok(short), _) if short < 126 => wire.push(short),
            (_, Ok(medium)) => {
                wire.push(126);
                wire.extend(medium.to_be_bytes());
            }
            _ => {
                wire.push(127);
                wire.extend((length as u64).to_be_bytes());
            }
        }
        wire.extend(kind.to_string().bytes());
        let start = wire.len();
        wire.extend_from_slice(text.as_bytes());
        Self::encoded(wire, start)
    }

    /// Whole WebSocket frames that are made already; such ones go to websockets only.
    pub(crate) fn wire_only(wire: &[u8]) -> Self {
        Self::encoded(wire.to_vec(), wire.len())
    }

    fn encoded(wire: Vec<u8>, start: usize) -> Self {
        Self(Arc::new(Encoded {
            wire: wire.into_boxed_slice(),
            start,
            text: OnceLock::new(),
        }))
    }

    /// The bytes for a websocket.
    pub(crate) fn wire(&self) -> &[u8] {
        &self.0.wire
    }

    /// The Socket.IO packet.
    pub(crate) fn text(&self) -> &Str {
        self.0.text.get_or_init(|| {
            let text = self.0.wire.get(self.0.start..).unwrap_or_default();
            // It was made of a text.
            Str::from(String::from_utf8_lossy(text).into_owned())
        })
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Frame")
            .field("bytes", &self.0.wire.len())
            .finish_non_exhaustive()
    }
}

/// An event with one argument.
pub(crate) fn event_frame(event: &str, body: &str) -> Frame {
    Frame::packet(&format!("2[{},{body}]", Value::from(event)))
}

/// The answer to the event that asked for it under `id`.
pub(crate) fn ack_frame(id: i64, body: &str) -> Frame {
    Frame::packet(&format!("3{id}[{body}]"))
}

/// Says that the client is in the namespace.
pub(super) fn connected_frame(socket: &SocketId) -> Frame {
    Frame::packet(&format!("0{}", json!({ "sid": socket.as_str() })))
}

/// Says that it is not, and why; `namespace` is `/` or another's name.
pub(super) fn refused_frame(namespace: &str, message: &str) -> Frame {
    let body = json!({ "message": message });
    Frame::packet(&match namespace {
        "/" => format!("4{body}"),
        other => format!("4{other},{body}"),
    })
}

/// What the protocol allows a client in the namespace to send and means nothing here: answers,
/// with or without the number of a question, for nobody asks; and errors, which only servers have.
/// The parser in use refuses some of them. `None` for other packets, `false` for a malformed one.
pub(super) fn is_idle(text: &str) -> Option<bool> {
    let rest = text.strip_prefix(['3', '4'])?;
    if rest.starts_with('/') {
        return None;
    }
    let data = rest.trim_start_matches(|c: char| c.is_ascii_digit());
    let fits = match data.bytes().next() {
        None => true,
        Some(b'[') => text.starts_with('3'),
        Some(b'{' | b'"') => text.starts_with('4'),
        Some(_) => false,
    };
    Some(fits && (data.is_empty() || serde_json::from_str::<&RawValue>(data).is_ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_means_nothing_is_told_from_what_is_malformed() {
        for idle in [
            "3", "31", "3[]", "31[1]", "4", "4{}", "4\"x\"", "45", "41{}",
        ] {
            assert_eq!(is_idle(idle), Some(true), "{idle}");
        }
        for malformed in ["3{}", "3null", "4[]", "4é", "31[1]x", "4{", "3x"] {
            assert_eq!(is_idle(malformed), Some(false), "{malformed}");
        }
        for other in ["", "2[]", "0", "3/a,[]", "4/a,{}", "61-[]"] {
            assert_eq!(is_idle(other), None, "{other}");
        }
    }

    #[test]
    fn frames_have_the_protocols_form() {
        assert_eq!(event_frame("a\"b", "{}").text().as_str(), r#"2["a\"b",{}]"#);
        assert_eq!(ack_frame(31, "{}").text().as_str(), "331[{}]");
        assert_eq!(
            refused_frame("/", "no").text().as_str(),
            r#"4{"message":"no"}"#
        );
        assert_eq!(
            refused_frame("/foo", "no").text().as_str(),
            r#"4/foo,{"message":"no"}"#
        );
    }

    #[test]
    fn wires_are_websocket_frames_of_every_length() {
        assert_eq!(Frame::packet("2[]").wire(), b"\x81\x044\x32[]");
        for (length, head) in [
            (124, &[0x81, 125][..]),
            (125, &[0x81, 126, 0, 126]),
            (65_534, &[0x81, 126, 255, 255]),
            (65_535, &[0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
        ] {
            let text = "x".repeat(length);
            let frame = Frame::packet(&text);
            assert_eq!(&frame.wire()[..head.len()], head, "{length}");
            assert_eq!(frame.wire()[head.len()], b'4');
            assert_eq!(frame.wire().len(), head.len() + 1 + length);
            assert_eq!(frame.text().as_str(), text);
        }
    }
}
