//! The engine's own errors, one constructor per code.

use http::{HeaderMap, StatusCode};
use serde_json::Value;

use super::RestError;
use crate::wire::Fault;

// Group 0: the connection.
impl RestError {
    /// PGRST000: the database cannot be reached.
    pub(crate) fn no_connection(details: &str) -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "PGRST000",
            "Database connection error. Retrying the connection.",
        )
        .details(details)
    }

    /// PGRST001: the connection broke while it was used. What a write did by then is not known.
    pub(crate) fn connection_lost(reason: &str) -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "PGRST001",
            "Database client error. Retrying the connection.",
        )
        .details(reason)
    }

    /// PGRST002: there is no schema cache yet.
    pub(crate) fn no_schema() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "PGRST002",
            "Could not query the database for the schema cache. Retrying.",
        )
    }

    /// PGRST003: no connection became free in time.
    pub(crate) fn pool_timeout() -> Self {
        Self::new(
            StatusCode::GATEWAY_TIMEOUT,
            "PGRST003",
            "Timed out acquiring connection from connection pool.",
        )
    }
}

// Group 1: the request.
impl RestError {
    pub(crate) fn query_parameter(message: String, details: String) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "PGRST100", message).details(details)
    }

    /// Text that PostgreSQL could not store anyway.
    pub(crate) fn invalid_encoding(message: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "PGRST100", message)
    }

    pub(crate) fn request_too_large(what: &str, limit: usize) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "PGRST100",
            format!("The {what} is larger than {limit}"),
        )
    }

    pub(crate) fn rpc_method(method: &str) -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "PGRST101",
            format!("Cannot use the {method} method on RPC"),
        )
    }

    pub(crate) fn invalid_body(message: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "PGRST102", message)
    }

    pub(crate) fn uneven_keys() -> Self {
        Self::invalid_body("All object keys must match")
    }

    pub(crate) fn invalid_range(details: String) -> Self {
        Self::new(
            StatusCode::RANGE_NOT_SATISFIABLE,
            "PGRST103",
            "Requested range not satisfiable",
        )
        .details(details)
    }

    pub(crate) fn put_filters() -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "PGRST105",
            "Filters must include all and only primary key columns with 'eq' operators",
        )
    }

    pub(crate) fn schema_not_exposed(exposed: &[String]) -> Self {
        Self::new(
            StatusCode::NOT_ACCEPTABLE,
            "PGRST106",
            format!(
                "The schema must be one of the following: {}",
                exposed.join(", ")
            ),
        )
    }

    pub(crate) fn media_unavailable(asked: &[String]) -> Self {
        Self::new(
            StatusCode::NOT_ACCEPTABLE,
            "PGRST107",
            format!(
                "None of these media types are available: {}",
                asked.join(", ")
            ),
        )
    }

    /// The request's own `Content-Type` cannot be read.
    pub(crate) fn content_type_unacceptable(media: &str) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "PGRST102",
            format!("Content-Type not acceptable: {media}"),
        )
    }

    pub(crate) fn not_embedded(name: &str) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "PGRST108",
            format!("'{name}' is not an embedded resource in this request"),
        )
        .hint(format!(
            "Verify that '{name}' is included in the 'select' query parameter."
        ))
    }

    pub(crate) fn limit_without_order() -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "PGRST109",
            "A 'limit' was applied without an explicit 'order'",
        )
        .hint("Apply an 'order' using unique column(s)")
    }

    pub(crate) fn over_limit(rows: i64, limit: i64) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "PGRST110",
            "The maximum number of rows allowed to change was surpassed",
        )
        .details(format!(
            "Results contain {rows} rows changed but the maximum number allowed is {limit}"
        ))
    }

    pub(crate) fn bad_response_headers() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "PGRST111",
            "response.headers guc must be a JSON array composed of objects with a single key and \
             a string value",
        )
    }

    pub(crate) fn bad_response_status() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "PGRST112",
            "response.status guc must be a valid status code",
        )
    }

    pub(crate) fn put_limit() -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "PGRST114",
            "limit/offset querystring parameters are not allowed for PUT",
        )
    }

    pub(crate) fn put_key_mismatch() -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "PGRST115",
            "Payload values do not match URL in primary key column(s)",
        )
    }

    pub(crate) fn not_single(rows: i64) -> Self {
        Self::new(
            StatusCode::NOT_ACCEPTABLE,
            "PGRST116",
            "JSON object requested, multiple (or no) rows returned",
        )
        .details(format!("The result contains {rows} rows"))
    }

    pub(crate) fn unsupported_method(method: &str) -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "PGRST117",
            format!("Unsupported HTTP method: {method}"),
        )
    }

    pub(crate) fn related_order(origin: &str, target: &str) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "PGRST118",
            format!("A related order on '{target}' is not possible"),
        )
        .details(format!(
            "'{origin}' and '{target}' do not form a many-to-one or one-to-one relationship"
        ))
    }

    pub(crate) fn spread_not_to_one(origin: &str, target: &str) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "PGRST119",
            format!("A spread operation on '{target}' is not possible"),
        )
        .details(format!(
            "'{origin}' and '{target}' do not form a many-to-one or one-to-one relationship"
        ))
    }

    /// A composed error is not what it should be. `whose` is `MESSAGE` or `DETAIL`.
    pub(crate) fn bad_raise(details: &str, whose: &str) -> Self {
        let keys = if whose == "MESSAGE" {
            "'code', 'message' and optional keys: 'details', 'hint'."
        } else {
            "'status', 'headers' and optional key: 'status_text'."
        };
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "PGRST121",
            "Could not parse JSON in the \"RAISE SQLSTATE 'PGRST'\" error",
        )
        .details(details)
        .hint(format!(
            "{whose} must be a JSON object with obligatory keys: {keys}"
        ))
    }

    pub(crate) fn invalid_preferences(preferences: &[&str]) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "PGRST122",
            "Invalid preferences given with handling=strict",
        )
        .details(format!("Invalid preferences: {}", preferences.join(", ")))
    }

    pub(crate) fn aggregates_disabled() -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "PGRST123",
            "Use of aggregate functions is not allowed",
        )
    }

    pub(crate) fn too_many_affected(rows: i64) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "PGRST124",
            "Query result exceeds max-affected preference constraint",
        )
        .details(format!("The query affects {rows} rows"))
    }
}

// What is not in PostgREST's list.
impl RestError {
    /// The body is larger than the engine is set to send.
    /// `bytes`: unknown if PostgreSQL could not even build it.
    pub(crate) fn answer_too_large(bytes: Option<i32>) -> Self {
        let size = bytes.map(|bytes| format!(" of {bytes} bytes"));
        let size = size.unwrap_or_default();
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "PGRSTX01",
            format!("The answer{size} is larger than this server sends at once"),
        )
        .hint("Ask for fewer rows or columns with 'limit' and 'select'")
    }

    /// Other large answers take all the memory that there is for them.
    pub(crate) fn no_memory() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "PGRSTX02",
            "Too many large answers are being sent at the moment",
        )
        .details("If the request was to change something, it is not known whether it did")
        .hint("Try again later, or ask for fewer rows or columns with 'limit' and 'select'")
    }

    /// A fault of the engine itself. The text goes to the log, not to the client.
    pub(crate) fn internal(what: &str) -> Self {
        tracing::error!(what, "records engine fault");
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "PGRSTX00",
            "Something went wrong",
        )
    }

    /// An error that a database function composed itself with `RAISE SQLSTATE 'PGRST'`.
    pub(crate) fn raised(
        (status, reason): (StatusCode, Option<String>),
        headers: HeaderMap,
        code: &str,
        message: &str,
        details: Option<String>,
        hint: Option<String>,
    ) -> Self {
        let error = Self::new(status, code, message).maybe_hint(hint);
        let mut error = error.with_reason(reason);
        error.parts.details = details.map_or(Value::Null, Value::from);
        error.parts.headers = headers;
        error
    }

    /// What PostgreSQL reported.
    pub(crate) fn reported(status: StatusCode, fault: &Fault) -> Self {
        let details = fault.detail.as_deref();
        Self::new(status, &fault.code, fault.message.as_str())
            .details(details.map_or(Value::Null, Value::from))
            .maybe_hint(fault.hint.clone())
    }
}
