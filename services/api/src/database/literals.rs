//! JSON values as PostgreSQL's literals. Numbers keep all their digits: they are never read.

use std::borrow::Cow;

use serde::de::IgnoredAny;
use serde_json::value::RawValue;

/// What of a column's type decides how JSON values are written for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum JsonKind {
    /// JSON arrays become array literals.
    Array,
    /// Takes any JSON as it is.
    Json,
    /// Takes the API's form of bytes, `{"type":"Buffer","data":[1,2]}`, too.
    Bytes,
    /// Takes `5.0` for `5`, as JavaScript does.
    Whole,
    #[default]
    Other,
}

impl JsonKind {
    /// The kind of a type, by its name in `format_type`; `array` stands for all arrays.
    pub(crate) fn of_type(name: &str) -> Self {
        match name {
            "array" => Self::Array,
            "json" | "jsonb" => Self::Json,
            "bytea" => Self::Bytes,
            "smallint" | "integer" | "bigint" => Self::Whole,
            _ => Self::Other,
        }
    }
}

/// The text of a JSON value; `None` is NULL. Numbers keep all their digits.
pub(crate) fn json_text(value: &RawValue, kind: JsonKind) -> Option<Cow<'_, str>> {
    let raw = value.get();
    match raw.as_bytes().first() {
        Some(b'n') => None,
        Some(b'"') => {
            let text: String = serde_json::from_str(raw).unwrap_or_default();
            let is_json = || serde_json::from_str::<IgnoredAny>(&text).is_ok();
            Some(
                if kind == JsonKind::Json && !text.is_empty() && !is_json() {
                    Cow::Borrowed(raw)
                } else {
                    Cow::Owned(text)
                },
            )
        }
        Some(b'[') if kind == JsonKind::Array => Some(array_literal(value).into()),
        Some(b'{') if kind == JsonKind::Bytes => Some(bytes(raw).map_or(raw.into(), Cow::Owned)),
        Some(b'-' | b'0'..=b'9') if kind == JsonKind::Whole => Some(match raw.split_once('.') {
            Some((whole, zeros)) if zeros.bytes().all(|digit| digit == b'0') => whole.into(),
            _ => raw.into(),
        }),
        _ => Some(raw.into()),
    }
}

/// `\x0102` of the API's form of bytes.
fn bytes(raw: &str) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Buffer {
        #[serde(rename = "type")]
        form: String,
        data: Vec<u8>,
    }
    let buffer: Buffer = serde_json::from_str(raw).ok()?;
    (buffer.form == "Buffer").then(|| format!("\\x{}", hex::encode(buffer.data)))
}

/// A JSON array as an array literal, for example `{"1","a b",NULL}`; arrays in it are dimensions.
/// Anything else than an array becomes its own text.
pub(crate) fn array_literal(array: &RawValue) -> String {
    let Ok(items) = serde_json::from_str::<Vec<&RawValue>>(array.get()) else {
        return array.get().to_owned();
    };
    let elements: Vec<_> = items.iter().map(|item| element(item)).collect();
    format!("{{{}}}", elements.join(","))
}

fn element(item: &RawValue) -> String {
    let raw = item.get();
    match raw.as_bytes().first() {
        Some(b'n') => "NULL".to_owned(),
        Some(b'[') => array_literal(item),
        Some(b'"') => quoted(&serde_json::from_str::<String>(raw).unwrap_or_default()),
        _ => quoted(raw),
    }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_keep_every_digit() {
        for (json, literal) in [
            ("[]", "{}"),
            ("[1, null, \"a\\\"b\\\\\"]", r#"{"1",NULL,"a\"b\\"}"#),
            (
                "[[12345678901234567890.10],[2]]",
                r#"{{"12345678901234567890.10"},{"2"}}"#,
            ),
            ("[{\"a\":1}, true]", r#"{"{\"a\":1}","true"}"#),
        ] {
            let raw: Box<RawValue> = serde_json::from_str(json).unwrap();
            assert_eq!(array_literal(&raw), literal, "{json}");
        }
    }

    #[test]
    fn json_values_become_texts() {
        for (json, kind, text) in [
            ("null", JsonKind::Other, None),
            ("\"\"", JsonKind::Other, Some("")),
            ("\"a\\u00e4\\n\"", JsonKind::Other, Some("aä\n")),
            (
                "12345678901234567890.10",
                JsonKind::Other,
                Some("12345678901234567890.10"),
            ),
            ("5.0", JsonKind::Whole, Some("5")),
            ("5.5", JsonKind::Whole, Some("5.5")),
            ("true", JsonKind::Other, Some("true")),
            (
                "[1,null,\"a b\"]",
                JsonKind::Array,
                Some(r#"{"1",NULL,"a b"}"#),
            ),
            ("[1, 2]", JsonKind::Json, Some("[1, 2]")),
            ("{\"n\":1e400}", JsonKind::Json, Some("{\"n\":1e400}")),
            ("\"{\\\"a\\\":1}\"", JsonKind::Json, Some("{\"a\":1}")),
            ("\"word\"", JsonKind::Json, Some("\"word\"")),
            (
                "{\"type\":\"Buffer\",\"data\":[0,255]}",
                JsonKind::Bytes,
                Some("\\x00ff"),
            ),
        ] {
            let raw: Box<RawValue> = serde_json::from_str(json).unwrap();
            assert_eq!(json_text(&raw, kind).as_deref(), text, "{json}");
        }
    }
}
