//! What callers may say about a channel, with the contract's complaints (realtime §10.1, §14).

use http::StatusCode;
use ingot_http::{ApiError, Code};
use serde_json::{Map, Value};
use url::Url;

/// Fields of a channel as given by the caller; `None` means "not given".
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct ChannelInput {
    pub(super) pattern: Option<String>,
    pub(super) description: Option<String>,
    pub(super) webhook_urls: Option<Vec<String>>,
    pub(super) enabled: Option<bool>,
}

impl ChannelInput {
    /// Reads a body. All problems are told at once; a pattern that is well-formed JSON but no
    /// pattern has a code of its own.
    pub(super) fn read(body: &Value, pattern_required: bool) -> Result<Self, ApiError> {
        let empty = Map::new();
        let fields = body.as_object().unwrap_or(&empty);
        let mut issues = Vec::new();
        let input = Self {
            pattern: text(fields, "pattern", &mut issues),
            description: text(fields, "description", &mut issues),
            webhook_urls: urls(fields.get("webhookUrls"), &mut issues),
            enabled: match fields.get("enabled") {
                None => None,
                Some(Value::Bool(enabled)) => Some(*enabled),
                Some(other) => {
                    issues.push(expected("enabled", "boolean", other));
                    None
                }
            },
        };
        if pattern_required && !fields.contains_key("pattern") {
            issues.insert(0, "pattern: Required".to_owned());
        }
        if input.pattern.as_deref() == Some("") {
            issues.push("pattern: Channel pattern is required".to_owned());
        }
        if !issues.is_empty() {
            return Err(invalid(
                Code::RealtimeInvalidChannelRequest,
                issues.join(", "),
            ));
        }
        match &input.pattern {
            Some(pattern) if !is_pattern(pattern) => Err(invalid(
                Code::RealtimeInvalidChannelPattern,
                format!(
                    "`{pattern}` is no channel pattern: write segments of letters, digits and - \
                     with : between them; % is the wildcard, after the first segment"
                ),
            )),
            _ => Ok(input),
        }
    }
}

fn invalid(code: Code, message: String) -> ApiError {
    ApiError::new(StatusCode::BAD_REQUEST, code, message)
        .with_hint("Correct the channel, for example { \"pattern\": \"orders:%\" }")
}

fn text(fields: &Map<String, Value>, name: &str, issues: &mut Vec<String>) -> Option<String> {
    match fields.get(name)? {
        Value::String(text) if text.contains('\0') => {
            issues.push(format!("{name}: Invalid text"));
            None
        }
        Value::String(text) => Some(text.clone()),
        other => {
            issues.push(expected(name, "string", other));
            None
        }
    }
}

fn urls(value: Option<&Value>, issues: &mut Vec<String>) -> Option<Vec<String>> {
    let items = match value? {
        Value::Array(items) => items,
        other => {
            issues.push(expected("webhookUrls", "array", other));
            return None;
        }
    };
    let mut urls = Vec::new();
    for (index, item) in items.iter().enumerate() {
        match item {
            Value::String(text) if Url::parse(text).is_ok() => urls.push(text.clone()),
            Value::String(_) => issues.push(format!("webhookUrls.{index}: Invalid url")),
            other => issues.push(expected(&format!("webhookUrls.{index}"), "string", other)),
        }
    }
    Some(urls)
}

fn expected(path: &str, wanted: &str, got: &Value) -> String {
    format!("{path}: Expected {wanted}, received {}", kind(got))
}

/// A JSON type as the contract's complaints name it.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "float",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// `^[a-zA-Z0-9-]+(:[a-zA-Z0-9%:-]+)*$`
fn is_pattern(text: &str) -> bool {
    let letter = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let (first, rest) = match text.split_once(':') {
        Some((first, rest)) => (first, Some(rest)),
        None => (text, None),
    };
    let rest_fits = rest.is_none_or(|rest| {
        !rest.is_empty() && rest.chars().all(|c| letter(c) || matches!(c, '%' | ':'))
    });
    !first.is_empty() && first.chars().all(letter) && rest_fits
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn patterns() {
        for good in ["orders", "order:%", "a-1:b:c", "a:%:x", "a::b"] {
            assert!(is_pattern(good), "{good}");
        }
        for bad in ["", "%", "order%", "a_b", "a:", ":a", "a b", "é"] {
            assert!(!is_pattern(bad), "{bad}");
        }
    }

    #[test]
    fn complaints_name_the_field() {
        let complaint = |body: Value| ChannelInput::read(&body, true).unwrap_err();
        assert_eq!(complaint(json!({})).message(), "pattern: Required");
        let all = complaint(
            json!({ "pattern": "", "description": null, "enabled": "x", "webhookUrls": ["x", 1] }),
        );
        assert_eq!(
            all.message(),
            "description: Expected string, received null, webhookUrls.0: Invalid url, \
             webhookUrls.1: Expected string, received number, \
             enabled: Expected boolean, received string, pattern: Channel pattern is required"
        );
        assert_eq!(all.code(), Code::RealtimeInvalidChannelRequest);
        assert_eq!(
            complaint(json!({ "pattern": "%" })).code(),
            Code::RealtimeInvalidChannelPattern
        );
        assert_eq!(
            ChannelInput::read(&json!({}), false).unwrap(),
            ChannelInput::default()
        );
    }
}
