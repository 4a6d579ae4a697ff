//! JSON values as PostgreSQL's literals. Numbers keep all their digits: they are never read.

use serde_json::value::RawValue;

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
}
