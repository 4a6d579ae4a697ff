//! Socket.IO packets as text: <https://socket.io/docs/v4/socket-io-protocol/#packet-encoding>.
//! Bodies are JSON text already, which is passed on untouched.

use engineioxide::Str;
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

#[cfg(test)]
mod tests {
    use super::*;

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
