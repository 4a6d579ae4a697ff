//! Every error that the engine answers with, as `{code, message, details, hint}`.
//!
//! `catalogue`, `unknown` and `token` have codes of their own, `database` maps what PostgreSQL reports. The codes and
//! statuses are those of PostgREST 12's reference, chapter "Errors".

mod catalogue;
mod database;
mod token;
mod unknown;

use std::fmt;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::{Value, json};

pub(crate) use database::from_wire;

/// An error answer.
#[derive(Debug, Clone)]
pub struct RestError {
    parts: Box<Parts>,
}

#[derive(Debug, Clone)]
struct Parts {
    status: StatusCode,
    reason: Option<String>,
    code: String,
    message: String,
    details: Value,
    hint: Option<String>,
    headers: HeaderMap,
}

impl RestError {
    fn new(status: StatusCode, code: &str, message: impl Into<String>) -> Self {
        Self {
            parts: Box::new(Parts {
                status,
                reason: None,
                code: code.to_owned(),
                message: message.into(),
                details: Value::Null,
                hint: None,
                headers: HeaderMap::new(),
            }),
        }
    }

    fn details(mut self, details: impl Into<Value>) -> Self {
        self.parts.details = details.into();
        self
    }

    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.parts.hint = Some(hint.into());
        self
    }

    fn maybe_hint(mut self, hint: Option<String>) -> Self {
        self.parts.hint = hint;
        self
    }

    pub(crate) fn with_header(mut self, name: header::HeaderName, value: HeaderValue) -> Self {
        self.parts.headers.append(name, value);
        self
    }

    /// What the status line says besides the number.
    fn with_reason(mut self, reason: Option<String>) -> Self {
        self.parts.reason = reason;
        self
    }

    /// The reason phrase of the status, if it is not the usual one.
    pub(crate) fn reason(&self) -> Option<&str> {
        self.parts.reason.as_deref()
    }

    /// HTTP status of the answer.
    pub fn status(&self) -> StatusCode {
        self.parts.status
    }

    /// `PGRST…`, or the SQLSTATE that PostgreSQL reported.
    pub fn code(&self) -> &str {
        &self.parts.code
    }

    /// The database could not be asked.
    pub(crate) fn is_of_connection(&self) -> bool {
        matches!(self.code(), "PGRST000" | "PGRST001" | "PGRST003")
    }

    /// Headers that belong to the answer, without the content type.
    pub(crate) fn headers(&self) -> &HeaderMap {
        &self.parts.headers
    }

    /// The JSON body.
    pub fn body(&self) -> Bytes {
        let parts = &self.parts;
        if parts.code.is_empty() {
            return Bytes::from_static(b"{}");
        }
        let body = json!({
            "code": parts.code,
            "details": parts.details,
            "hint": parts.hint,
            "message": parts.message,
        });
        Bytes::from(body.to_string())
    }
}

impl fmt::Display for RestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.parts.code, self.parts.message)?;
        match &self.parts.details {
            Value::String(details) => write!(f, " ({details})"),
            _ => Ok(()),
        }
    }
}

impl std::error::Error for RestError {}
