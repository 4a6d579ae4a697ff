//! `response.status` and `response.headers`: settings by which SQL shapes the answer.

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde_json::{Map, Value};

use crate::error::RestError;
use crate::executor::Answered;

pub(super) fn status(answered: &Answered) -> Result<Option<StatusCode>, RestError> {
    let Some(text) = &answered.response_status else {
        return Ok(None);
    };
    // What stands after the number is ignored.
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let status = text
        .get(..digits)
        .and_then(|digits| digits.parse::<u16>().ok())
        .and_then(|code| StatusCode::from_u16(code).ok());
    status.map(Some).ok_or_else(RestError::bad_response_status)
}

/// `[{"Name": "value"}, …]`. A header that the engine set too is replaced.
pub(super) fn add_headers(answered: &Answered, headers: &mut HeaderMap) -> Result<(), RestError> {
    let Some(text) = &answered.response_headers else {
        return Ok(());
    };
    let list: Vec<Map<String, Value>> =
        serde_json::from_str(text).map_err(|_| RestError::bad_response_headers())?;
    let mut added = HeaderMap::new();
    for object in &list {
        let mut entries = object.iter();
        let (Some((name, Value::String(value))), None) = (entries.next(), entries.next()) else {
            return Err(RestError::bad_response_headers());
        };
        let name = HeaderName::from_bytes(name.as_bytes());
        let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(value)) else {
            return Err(RestError::bad_response_headers());
        };
        added.append(name, value);
    }
    for name in added.keys() {
        headers.remove(name);
        for value in added.get_all(name) {
            headers.append(name.clone(), value.clone());
        }
    }
    Ok(())
}
