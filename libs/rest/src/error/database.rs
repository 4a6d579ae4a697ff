//! What PostgreSQL reported, as an HTTP status.

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde::Deserialize;

use super::RestError;
use crate::memory::NoMemory;
use crate::wire::{Fault, WireError};

/// Turns a failed exchange into an answer. `authenticated` decides between 401 and 403.
pub(crate) fn from_wire(error: &WireError, authenticated: bool) -> RestError {
    match error {
        WireError::Fault(fault) if fault.is_too_large_a_value() => {
            RestError::answer_too_large(None)
        }
        WireError::NoMemory(NoMemory::TooLarge) => RestError::answer_too_large(None),
        WireError::NoMemory(NoMemory::Busy) => RestError::no_memory(),
        WireError::Fault(fault) => answer(fault, authenticated),
        WireError::Lost { reason, .. } => RestError::connection_lost(reason),
        WireError::Refused(reason) => RestError::no_connection(reason),
    }
}

fn answer(fault: &Fault, authenticated: bool) -> RestError {
    if fault.code == "PGRST" {
        return raised(fault).unwrap_or_else(|error| error);
    }
    let status = status_of(fault, authenticated);
    let mut error = RestError::reported(status, fault);
    if fault.code.starts_with("PT") {
        error = error.with_reason(Some(fault.message.clone()));
    }
    if status == StatusCode::UNAUTHORIZED {
        return error.with_header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    error
}

fn status_of(fault: &Fault, authenticated: bool) -> StatusCode {
    let code = fault.code.as_str();
    match code {
        "23503" | "23505" => return StatusCode::CONFLICT,
        "25006" => return StatusCode::METHOD_NOT_ALLOWED,
        // The extension safeupdate reports a missing filter this way.
        "21000" if fault.message.ends_with("requires a WHERE clause") => {
            return StatusCode::BAD_REQUEST;
        }
        "21000" | "53400" | "42P17" => return StatusCode::INTERNAL_SERVER_ERROR,
        // PostgreSQL cannot make XML of this type.
        "42883" if fault.message.starts_with("function xmlagg(") => {
            return StatusCode::NOT_ACCEPTABLE;
        }
        "42883" | "42P01" => return StatusCode::NOT_FOUND,
        "42501" if authenticated => return StatusCode::FORBIDDEN,
        "42501" => return StatusCode::UNAUTHORIZED,
        "P0001" => return StatusCode::BAD_REQUEST,
        _ => {}
    }
    // `RAISE` may name a status: SQLSTATE PT402 answers 402.
    if let Some(digits) = code.strip_prefix("PT") {
        let status = StatusCode::from_bytes(digits.as_bytes());
        return status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    }
    match code.get(..2).unwrap_or_default() {
        "08" | "53" => StatusCode::SERVICE_UNAVAILABLE,
        // The connection was terminated by an administrator.
        _ if code == "57P01" => StatusCode::SERVICE_UNAVAILABLE,
        "0L" | "0P" | "28" => StatusCode::FORBIDDEN,
        "09" | "25" | "2D" | "38" | "39" | "3B" | "40" | "54" | "55" | "57" | "58" | "F0"
        | "HV" | "P0" | "XX" => StatusCode::INTERNAL_SERVER_ERROR,
        _ => StatusCode::BAD_REQUEST,
    }
}

/// `MESSAGE` of a `RAISE SQLSTATE 'PGRST'`.
#[derive(Deserialize)]
struct RaisedMessage {
    code: String,
    message: String,
    details: Option<String>,
    hint: Option<String>,
}

/// `DETAIL` of a `RAISE SQLSTATE 'PGRST'`.
#[derive(Deserialize)]
struct RaisedDetail {
    status: u16,
    status_text: Option<String>,
    headers: std::collections::BTreeMap<String, String>,
}

/// An answer that a function composed: body in the message, status and headers in the detail.
fn raised(fault: &Fault) -> Result<RestError, RestError> {
    let bad = |whose: &str, text: &str| {
        RestError::bad_raise(&format!("Invalid JSON value for {whose}: '{text}'"), whose)
    };
    let message: RaisedMessage =
        serde_json::from_str(&fault.message).map_err(|_| bad("MESSAGE", &fault.message))?;
    let missing = || RestError::bad_raise("DETAIL is missing in the RAISE statement", "DETAIL");
    let text = fault.detail.as_deref().ok_or_else(missing)?;
    let bad_detail = || bad("DETAIL", text);
    let detail: RaisedDetail = serde_json::from_str(text).map_err(|_| bad_detail())?;
    let status = StatusCode::from_u16(detail.status).map_err(|_| bad_detail())?;
    let mut headers = HeaderMap::new();
    for (name, value) in &detail.headers {
        let name = HeaderName::from_bytes(name.as_bytes());
        let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(value)) else {
            return Err(bad_detail());
        };
        headers.append(name, value);
    }
    Ok(RestError::raised(
        (status, detail.status_text),
        headers,
        &message.code,
        &message.message,
        message.details,
        message.hint,
    ))
}
