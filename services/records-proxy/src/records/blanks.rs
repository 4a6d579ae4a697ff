//! Empty strings that forms send for columns which cannot hold them (contract, database §4.5): the
//! column is left out, so that its default applies. Numbers and everything else stay as they were
//! sent, byte for byte.

use std::fmt;

use bytes::Bytes;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The body is not JSON, or its top level is neither an object nor an array.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct NotJson(String);

impl From<serde_json::Error> for NotJson {
    fn from(error: serde_json::Error) -> Self {
        Self(error.to_string())
    }
}

/// Checks that `body` is one JSON object or array.
pub(super) fn check(body: &[u8]) -> Result<(), NotJson> {
    let text = std::str::from_utf8(body)
        .map_err(|_| NotJson("the text is not encoded in UTF-8".to_owned()))?;
    if !text.trim_start().starts_with(['{', '[']) {
        return Err(NotJson(
            "the top level must be an object or an array".to_owned(),
        ));
    }
    serde_json::from_str::<IgnoredAny>(text)?;
    Ok(())
}

/// Whether a value of `body` may be an empty string; cheap, and never wrong about "no".
pub(super) fn possible(body: &[u8]) -> bool {
    body.windows(2).any(|pair| pair == b"\"\"")
}

/// Whether a value of a form may be empty; cheap, and never wrong about "no".
pub(super) fn possible_in_form(body: &[u8]) -> bool {
    body.split(|byte| *byte == b'&')
        .any(|pair| pair.ends_with(b"=") || !pair.contains(&b'='))
}

/// A checked JSON body without the columns whose value is `""` and for which `drops` says yes.
/// Applies to the object at the top level or to each object of the array there.
pub(super) fn remove(body: &Bytes, drops: impl Fn(&str) -> bool) -> Result<Bytes, NotJson> {
    let text = std::str::from_utf8(body).map_err(|error| NotJson(error.to_string()))?;
    let mut changed = false;
    let mut output = String::with_capacity(text.len());
    if text.trim_start().starts_with('{') {
        changed |= write_object(text, &drops, &mut output)?;
    } else {
        let elements: Vec<&RawValue> = serde_json::from_str(text)?;
        output.push('[');
        for (index, element) in elements.into_iter().enumerate() {
            if index > 0 {
                output.push(',');
            }
            if element.get().starts_with('{') {
                changed |= write_object(element.get(), &drops, &mut output)?;
            } else {
                output.push_str(element.get());
            }
        }
        output.push(']');
    }
    Ok(if changed {
        Bytes::from(output)
    } else {
        body.clone()
    })
}

/// The same for a form (`application/x-www-form-urlencoded`).
pub(super) fn remove_from_form(body: &Bytes, drops: impl Fn(&str) -> bool) -> Bytes {
    let kept: Vec<&[u8]> = body
        .split(|byte| *byte == b'&')
        .filter(|pair| {
            let decoded = serde_urlencoded::from_bytes::<Vec<(String, String)>>(pair);
            !decoded.is_ok_and(|pairs| {
                pairs
                    .iter()
                    .any(|(name, value)| value.is_empty() && drops(name))
            })
        })
        .collect();
    Bytes::from(kept.join(&b'&'))
}

/// Writes an object without what `drops` names; says whether anything was left out.
fn write_object(
    text: &str,
    drops: &impl Fn(&str) -> bool,
    output: &mut String,
) -> Result<bool, NotJson> {
    let members = serde_json::Deserializer::from_str(text).deserialize_map(Members)?;
    let before = members.len();
    let mut written = 0;
    output.push('{');
    for (name, value) in members {
        if value.get() == "\"\"" && drops(&name) {
            continue;
        }
        if written > 0 {
            output.push(',');
        }
        output.push_str(&serde_json::to_string(&name)?);
        output.push(':');
        output.push_str(value.get());
        written += 1;
    }
    output.push('}');
    Ok(written < before)
}

/// Reads an object as its members in order, with untouched values.
struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Vec<(String, &'de RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn without_numbers(body: &'static str) -> String {
        let bytes = remove(&Bytes::from_static(body.as_bytes()), |name| {
            name.starts_with('n')
        });
        String::from_utf8(bytes.unwrap().to_vec()).unwrap()
    }

    #[test]
    fn only_blank_values_of_other_types_go() {
        assert_eq!(
            without_numbers(r#"{"n":"","t":"","n2":0,"n3":null,"n4":{"n":""}}"#),
            r#"{"t":"","n2":0,"n3":null,"n4":{"n":""}}"#
        );
    }

    #[test]
    fn numbers_keep_every_digit() {
        assert_eq!(
            without_numbers(r#"[{"n":"","a":9007199254740993,"b":1.10},7,{"n":1}]"#),
            r#"[{"a":9007199254740993,"b":1.10},7,{"n":1}]"#
        );
    }

    #[test]
    fn an_untouched_body_stays_as_it_was() {
        let body = "{ \"t\" : \"\" ,\n\"n\" : 1.0 }";
        assert_eq!(without_numbers(body), body);
        assert_eq!(without_numbers("[]"), "[]");
    }

    #[test]
    fn names_are_compared_decoded_and_written_escaped() {
        assert_eq!(
            without_numbers(r#"{"\u006eum":"","q\"":1}"#),
            r#"{"q\"":1}"#
        );
    }

    #[test]
    fn forms() {
        let body = Bytes::from_static(b"n=&t=&m=1&n%62=&nc");
        assert!(possible_in_form(&body));
        assert!(!possible_in_form(b"a=1&b=2"));
        assert_eq!(
            remove_from_form(&body, |name| name.starts_with('n')),
            "t=&m=1"
        );
    }

    #[test]
    fn only_objects_and_arrays_pass() {
        for good in ["{}", " [1]", "{\"a\":[{}]}"] {
            assert!(check(good.as_bytes()).is_ok(), "{good}");
        }
        for bad in ["", "5", "\"x\"", "{", "{} {}", "{'a':1}", "[NaN]"] {
            assert!(check(bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(check(b"{\"a\":\"\xff\"}").is_err());
        let deep = "[".repeat(100_000);
        assert!(check(deep.as_bytes()).is_err());
    }
}
