//! The data of an event packet: `["name", argument, …]`.

use std::collections::VecDeque;

use bytes::Bytes;
use serde::de::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use serde_json::{Value as Json, json};
use socketioxide_core::Value;

use crate::session::Violation;

/// An event's name and its first argument; further ones mean nothing here.
#[derive(Debug)]
pub(super) struct EventData {
    pub(super) name: String,
    pub(super) argument: Option<Box<RawValue>>,
}

impl EventData {
    /// Reads a packet's data. Attachments take the form that JavaScript gives them in JSON. `None`
    /// for what the protocol allows and nobody can mean: no data at all, a number for a name, or a
    /// name that is no Unicode.
    pub(super) fn read(data: &Value) -> Result<Option<Self>, Violation> {
        let Value::Str(text, attachments) = data else {
            return Err(Violation);
        };
        if text.is_empty() {
            return Ok(None);
        }
        let items: Vec<&RawValue> = serde_json::from_str(text.as_str()).map_err(|_| Violation)?;
        let mut items = items.into_iter();
        let name = items.next().ok_or(Violation)?.get();
        let is_name = name.starts_with(|c: char| c == '"' || c == '-' || c.is_ascii_digit());
        let Ok(name) = serde_json::from_str(name) else {
            return if is_name { Ok(None) } else { Err(Violation) };
        };
        let argument = items.next().map(ToOwned::to_owned);
        let argument = match (argument, attachments) {
            (Some(argument), Some(attachments)) if !attachments.is_empty() => {
                Some(with_attachments(&argument, attachments)?)
            }
            (argument, _) => argument,
        };
        Ok(Some(Self { name, argument }))
    }
}

fn with_attachments(
    argument: &RawValue,
    attachments: &VecDeque<Bytes>,
) -> Result<Box<RawValue>, Violation> {
    let mut value: Json = serde_json::from_str(argument.get()).map_err(|_| Violation)?;
    fill_placeholders(&mut value, attachments)?;
    serde_json::value::to_raw_value(&value).map_err(|_| Violation)
}

/// The nesting is bounded by the JSON reader's own limit.
fn fill_placeholders(value: &mut Json, attachments: &VecDeque<Bytes>) -> Result<(), Violation> {
    match value {
        Json::Object(fields) if fields.get("_placeholder") == Some(&Json::Bool(true)) => {
            let attachment = fields
                .get("num")
                .and_then(Json::as_u64)
                .and_then(|number| attachments.get(usize::try_from(number).ok()?))
                .ok_or(Violation)?;
            *value = json!({ "type": "Buffer", "data": attachment.as_ref() });
            Ok(())
        }
        Json::Object(fields) => fields
            .values_mut()
            .try_for_each(|field| fill_placeholders(field, attachments)),
        Json::Array(items) => items
            .iter_mut()
            .try_for_each(|item| fill_placeholders(item, attachments)),
        _ => Ok(()),
    }
}

/// A field that is there may be `null`, which is not the same as missing.
pub(super) fn present<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &'static str, attachments: Option<Vec<&'static [u8]>>) -> Option<EventData> {
        let attachments = attachments.map(|all| all.into_iter().map(Bytes::from_static).collect());
        EventData::read(&Value::Str(text.into(), attachments)).ok()?
    }

    #[test]
    fn names_and_arguments_are_read() {
        let event = read(r#"["e", {"a": 1.10}, 2]"#, None).unwrap();
        assert_eq!(event.name, "e");
        assert_eq!(event.argument.unwrap().get(), r#"{"a": 1.10}"#);
        assert!(read(r#"["e"]"#, None).unwrap().argument.is_none());
        let outcome = |text: &'static str| EventData::read(&Value::Str(text.into(), None));
        for malformed in ["[]", "{}", "[\"e\",", "null", "[null]", "[true]", "[{}]"] {
            assert!(outcome(malformed).is_err(), "{malformed}");
        }
        for idle in ["", "[1]", "[-1.5,{}]", "[\"\\ud800\"]"] {
            assert!(outcome(idle).is_ok_and(|event| event.is_none()), "{idle}");
        }
    }

    #[test]
    fn attachments_become_buffers() {
        let text = r#"["e",{"a":[{"_placeholder":true,"num":0}]}]"#;
        let event = read(text, Some(vec![&[1, 255]])).unwrap();
        assert_eq!(
            event.argument.unwrap().get(),
            r#"{"a":[{"type":"Buffer","data":[1,255]}]}"#
        );
        let wrong = r#"["e",{"_placeholder":true,"num":7}]"#;
        assert!(read(wrong, Some(vec![&[1]])).is_none());
    }
}
