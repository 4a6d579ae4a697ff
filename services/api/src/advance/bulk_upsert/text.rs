//! Values of a file as fields of a `COPY` line.

use std::borrow::Cow;

use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use crate::database::array_literal;

/// What of a column's type decides how JSON values are written for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Kind {
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

/// The text of a JSON value; `None` is NULL. Numbers keep all their digits.
pub(super) fn of_json(value: &RawValue, kind: Kind) -> Option<Cow<'_, str>> {
    let raw = value.get();
    match raw.as_bytes().first() {
        Some(b'n') => None,
        Some(b'"') => {
            let text: String = serde_json::from_str(raw).unwrap_or_default();
            if text.is_empty() {
                return None;
            }
            let is_json = || serde_json::from_str::<IgnoredAny>(&text).is_ok();
            Some(if kind == Kind::Json && !is_json() {
                Cow::Borrowed(raw)
            } else {
                Cow::Owned(text)
            })
        }
        Some(b'[') if kind == Kind::Array => Some(array_literal(value).into()),
        Some(b'{') if kind == Kind::Bytes => Some(bytes(raw).map_or(raw.into(), Cow::Owned)),
        Some(b'-' | b'0'..=b'9') if kind == Kind::Whole => Some(match raw.split_once('.') {
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

/// Appends a field, and what stands before it on the line.
pub(super) fn push_field(line: &mut Vec<u8>, first: bool, text: Option<&str>) {
    if !first {
        line.push(b'\t');
    }
    let Some(text) = text else {
        line.extend_from_slice(b"\\N");
        return;
    };
    for byte in text.bytes() {
        match byte {
            b'\\' => line.extend_from_slice(b"\\\\"),
            b'\t' => line.extend_from_slice(b"\\t"),
            b'\n' => line.extend_from_slice(b"\\n"),
            b'\r' => line.extend_from_slice(b"\\r"),
            byte => line.push(byte),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_values_become_texts() {
        for (json, kind, text) in [
            ("null", Kind::Other, None),
            ("\"\"", Kind::Other, None),
            ("\"a\\u00e4\\n\"", Kind::Other, Some("aä\n")),
            (
                "12345678901234567890.10",
                Kind::Other,
                Some("12345678901234567890.10"),
            ),
            ("5.0", Kind::Whole, Some("5")),
            ("5.5", Kind::Whole, Some("5.5")),
            ("true", Kind::Other, Some("true")),
            ("[1,null,\"a b\"]", Kind::Array, Some(r#"{"1",NULL,"a b"}"#)),
            ("[1, 2]", Kind::Json, Some("[1, 2]")),
            ("{\"n\":1e400}", Kind::Json, Some("{\"n\":1e400}")),
            ("\"{\\\"a\\\":1}\"", Kind::Json, Some("{\"a\":1}")),
            ("\"word\"", Kind::Json, Some("\"word\"")),
            (
                "{\"type\":\"Buffer\",\"data\":[0,255]}",
                Kind::Bytes,
                Some("\\x00ff"),
            ),
        ] {
            let raw: Box<RawValue> = serde_json::from_str(json).unwrap();
            assert_eq!(of_json(&raw, kind).as_deref(), text, "{json}");
        }
        let mut line = Vec::new();
        push_field(&mut line, true, Some("a\\\t\n"));
        push_field(&mut line, false, None);
        assert_eq!(line, b"a\\\\\\t\\n\t\\N");
    }
}
