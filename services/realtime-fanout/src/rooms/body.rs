//! The body of an event as clients see it: the payload's fields and `meta` (contract, realtime
//! §5.1 and §5.2). Values are copied as text, so that no number is rounded on the way.

use std::fmt;

use ingot_bus::{RoomMessage, SenderType};
use ingot_http::Timestamp;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use time::OffsetDateTime;
use uuid::Uuid;

/// What is added to every event.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Meta {
    #[serde(skip_serializing_if = "Option::is_none")]
    channel: Option<String>,
    message_id: Uuid,
    sender_type: SenderType,
    #[serde(skip_serializing_if = "Option::is_none")]
    sender_id: Option<Uuid>,
    timestamp: Timestamp,
}

impl Meta {
    /// Of an event that this node raises itself, with an id of its own.
    pub(crate) fn system(channel: Option<&str>) -> Self {
        Self {
            channel: channel.map(str::to_owned),
            message_id: Uuid::new_v4(),
            sender_type: SenderType::System,
            sender_id: None,
            timestamp: OffsetDateTime::now_utc().into(),
        }
    }

    /// Of somebody's joining or leaving.
    pub(crate) fn presence(channel: &str, event: Uuid) -> Self {
        Self {
            message_id: event,
            ..Self::system(Some(channel))
        }
    }

    /// Of a published message. The channel has its room's prefix, which presence events have not.
    pub(super) fn message(message: &RoomMessage) -> Self {
        Self {
            channel: Some(format!("realtime:{}", message.channel)),
            message_id: message.id,
            sender_type: message.sender_type,
            sender_id: message.sender_id,
            timestamp: OffsetDateTime::now_utc().into(),
        }
    }
}

/// The payload's fields, then `meta`, which wins over a field of that name. Arrays and strings are
/// spread by index, as JavaScript does; other scalars have no fields. What is lost in this is there
/// as `meta.payload`, untouched.
pub(crate) fn with_meta(payload: &str, meta: &Meta) -> String {
    let mut body = String::with_capacity(payload.len() + 256);
    body.push('{');
    let whole = spread(payload, &mut body);
    // Serialising these few fields cannot fail.
    let meta = serde_json::to_string(meta).unwrap_or_default();
    body.push_str("\"meta\":");
    match meta.strip_suffix('}') {
        Some(open) if !whole => {
            body.push_str(open);
            body.push_str(",\"payload\":");
            body.push_str(payload);
            body.push('}');
        }
        _ => body.push_str(&meta),
    }
    body.push('}');
    body
}

/// Writes `"key":value,` for each field. Returns whether the payload can be told from that.
fn spread(payload: &str, body: &mut String) -> bool {
    let mut whole = false;
    match payload.trim_start().bytes().next() {
        Some(b'{') => {
            let fields: Fields<'_> = serde_json::from_str(payload).unwrap_or_default();
            whole = true;
            for (key, value) in fields.0 {
                if key == "meta" {
                    whole = false;
                } else {
                    push_field(body, &key, value.get());
                }
            }
        }
        Some(b'[') => {
            let items: Vec<&RawValue> = serde_json::from_str(payload).unwrap_or_default();
            for (index, item) in items.iter().enumerate() {
                push_field(body, &index.to_string(), item.get());
            }
        }
        Some(b'"') => {
            let text: String = serde_json::from_str(payload).unwrap_or_default();
            for (index, unit) in text.encode_utf16().enumerate() {
                // Half of a pair is no character of its own; escaped, it is still JSON.
                let value = match char::decode_utf16([unit]).next() {
                    Some(Ok(character)) => quoted(character.encode_utf8(&mut [0; 4])),
                    _ => format!("\"\\u{unit:04x}\""),
                };
                push_field(body, &index.to_string(), &value);
            }
        }
        _ => {}
    }
    whole
}

fn push_field(body: &mut String, key: &str, value: &str) {
    body.push_str(&quoted(key));
    body.push(':');
    body.push_str(value);
    body.push(',');
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// The fields of an object in their order, values untouched.
#[derive(Default)]
struct Fields<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FieldsVisitor;

        impl<'de> Visitor<'de> for FieldsVisitor {
            type Value = Vec<(String, &'de RawValue)>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(fields)
            }
        }

        deserializer.deserialize_map(FieldsVisitor).map(Fields)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_are_spread_as_javascript_does() {
        let meta = Meta::system(Some("c"));
        let cases = [
            (
                r#"{"a": 1, "meta": 5, "b": {"c": [1, 2]}}"#,
                r#"{"a":1,"b":{"c": [1, 2]},"#,
            ),
            (
                r#"{"n": 123456789012345678901.50}"#,
                r#"{"n":123456789012345678901.50,"#,
            ),
            ("[1, null]", r#"{"0":1,"1":null,"#),
            (
                r#""a\"é😀""#,
                r#"{"0":"a","1":"\"","2":"é","3":"\ud83d","4":"\ude00","#,
            ),
            ("5", "{"),
            ("null", "{"),
            ("{}", "{"),
        ];
        let meta_text = serde_json::to_string(&meta).unwrap();
        let meta_text = meta_text.strip_suffix('}').unwrap();
        for (payload, start) in cases {
            let whole = payload.starts_with('{') && !payload.contains("meta");
            let rest = if whole {
                String::new()
            } else {
                format!(",\"payload\":{payload}")
            };
            assert_eq!(
                with_meta(payload, &meta),
                format!("{start}\"meta\":{meta_text}{rest}}}}}"),
                "{payload}"
            );
        }
    }

    #[test]
    fn meta_has_the_fields_that_clients_need() {
        let meta = serde_json::to_value(Meta::system(None)).unwrap();
        assert_eq!(meta["senderType"], "system");
        assert!(meta["messageId"].is_string() && meta["timestamp"].is_string());
        assert!(meta.get("channel").is_none() && meta.get("senderId").is_none());
    }
}
