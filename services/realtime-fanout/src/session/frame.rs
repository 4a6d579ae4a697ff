//! Socket.IO packets as text: <https://socket.io/docs/v4/socket-io-protocol/#packet-encoding>.
//! Bodies are JSON text already, which is passed on untouched.

use engineioxide::Str;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::client::SocketId;

/// An event with one argument.
pub(crate) fn event_frame(event: &str, body: &str) -> Str {
    Str::from(format!("2[{},{body}]", Value::from(event)))
}

/// The answer to the event that asked for it under `id`.
pub(crate) fn ack_frame(id: i64, body: &str) -> Str {
    Str::from(format!("3{id}[{body}]"))
}

/// Says that the client is in the namespace.
pub(super) fn connected_frame(socket: &SocketId) -> Str {
    Str::from(format!("0{}", json!({ "sid": socket.as_str() })))
}

/// Says that it is not, and why; `namespace` is `/` or another's name.
pub(super) fn refused_frame(namespace: &str, message: &str) -> Str {
    let body = json!({ "message": message });
    Str::from(match namespace {
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
        assert_eq!(event_frame("a\"b", "{}").as_str(), r#"2["a\"b",{}]"#);
        assert_eq!(ack_frame(31, "{}").as_str(), "331[{}]");
        assert_eq!(refused_frame("/", "no").as_str(), r#"4{"message":"no"}"#);
        assert_eq!(
            refused_frame("/foo", "no").as_str(),
            r#"4/foo,{"message":"no"}"#
        );
    }
}
