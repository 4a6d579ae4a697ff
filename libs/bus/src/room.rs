//! What travels in a room: one row of `realtime.messages`.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

/// Longest payload, in bytes of JSON text, that travels on the bus. The node reads a longer one
/// from the row: a bus message is limited to 1 MB, a row is not.
pub const MAX_INLINE_PAYLOAD: usize = 256 * 1024;

/// Who sent a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SenderType {
    /// SQL or an administrator.
    System,
    /// An end user.
    User,
}

impl SenderType {
    /// The name in the database and on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User => "user",
        }
    }
}

/// A published message.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RoomMessage {
    /// Id of the row, and what de-duplication goes by.
    pub id: Uuid,
    /// The literal channel name.
    pub channel: String,
    /// Name of the event.
    pub event: String,
    /// The payload's JSON text exactly as PostgreSQL wrote it; `None` when it is longer than
    /// [`MAX_INLINE_PAYLOAD`].
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    pub payload: Option<Box<RawValue>>,
    /// Who sent it.
    pub sender_type: SenderType,
    /// The sender's user id, if it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sender_id: Option<Uuid>,
}

/// A payload that is there may be JSON `null`, which is not the same as none.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Box<RawValue>>, D::Error> {
    Box::<RawValue>::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(payload: Option<&str>) -> RoomMessage {
        RoomMessage {
            id: Uuid::nil(),
            channel: "orders".to_owned(),
            event: "created".to_owned(),
            payload: payload.map(|text| RawValue::from_string(text.to_owned()).unwrap()),
            sender_type: SenderType::System,
            sender_id: None,
        }
    }

    #[test]
    fn payloads_arrive_as_they_were_written() {
        for text in [
            "null",
            "12345678901234567890.123",
            r#"{"b": 1, "a": [ ]}"#,
            "\"x\"",
        ] {
            let sent = serde_json::to_vec(&message(Some(text))).unwrap();
            let got: RoomMessage = serde_json::from_slice(&sent).unwrap();
            assert_eq!(got.payload.unwrap().get(), text);
        }
        let sent = serde_json::to_vec(&message(None)).unwrap();
        let got: RoomMessage = serde_json::from_slice(&sent).unwrap();
        assert!(got.payload.is_none());
    }
}
