//! `POST /api/database/advance/export`.

use axum::body::Body as ResponseBody;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use futures::{StreamExt, stream};
use http::HeaderMap;
use http::header::{ACCEPT, CONTENT_TYPE};
use ingot_http::{ApiError, Forwarded, Query, Routes, Timestamp, Valid, Validate};
use ingot_identity::VerifyAdmin;
use serde::Deserialize;
use serde_json::json;

use super::dump::{Format, Request, Wrapping};
use super::service;
use crate::app::App;
use crate::database::Switches;

/// Rows per table when the caller names no limit (contract, database §7.3).
const DEFAULT_ROWS: i64 = 1000;

/// Most rows per table inside a JSON answer.
const MAX_ROWS: i64 = 10_000;

/// What the handlers of this file take and answer.
#[derive(utoipa::OpenApi)]
#[openapi(paths(export))]
pub(crate) struct Document;

/// The routes of exports.
pub(in crate::advance) fn router() -> Routes<App> {
    Routes::new().route("/export", post(export))
}

fn yes() -> bool {
    true
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ExportBody)]
struct Body {
    /// All of `public` unless given.
    #[serde(default)]
    tables: Vec<String>,
    /// `sql`, `json` or `csv`.
    #[serde(default)]
    #[schema(pattern = "^(sql|json|csv)$")]
    format: Option<String>,
    #[serde(default = "yes")]
    include_data: bool,
    #[serde(default)]
    include_functions: bool,
    #[serde(default)]
    include_sequences: bool,
    #[serde(default)]
    include_views: bool,
    /// Most rows per table; 1000 unless given, and at most 10,000 inside of JSON.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 10_000)]
    row_limit: Option<i64>,
}

impl Validate for Body {
    fn validate(&self, complain: &mut dyn FnMut(&str, &str)) {
        if self.format().is_none() {
            complain("format", "must be `sql`, `json` or `csv`");
        }
        if self.row_limit.is_some_and(|limit| limit < 1) {
            complain("rowLimit", "must be at least 1");
        }
    }
}

impl Body {
    fn format(&self) -> Option<Format> {
        match self.format.as_deref() {
            None | Some("sql") => Some(Format::Sql),
            Some("json") => Some(Format::Json),
            Some("csv") => Some(Format::Csv),
            Some(_) => None,
        }
    }
}

/// A dump inside of JSON. With `Accept: application/sql` or `text/csv` the answer is the dump itself.
#[derive(utoipa::ToSchema)]
#[schema(rename_all = "camelCase")]
#[allow(dead_code, reason = "it describes what the service writes")]
struct ExportAnswer {
    format: String,
    /// A text for `sql`, an object for `json`, an object of texts by table for `csv`.
    data: serde_json::Value,
    timestamp: Timestamp,
    /// Tables with more rows than `rowLimit`.
    #[schema(nullable = false)]
    truncated_tables: Option<Vec<String>>,
    #[schema(nullable = false)]
    row_limit: Option<i64>,
}

#[utoipa::path(
    post,
    path = "/api/database/advance/export",
    tag = "sql",
    operation_id = "export",
    params(Switches),
    request_body = Body,
    responses(
        (status = 200, body = ExportAnswer),
        ApiError
    ),
)]
async fn export(
    State(app): State<App>,
    VerifyAdmin(caller): VerifyAdmin,
    forwarded: Forwarded,
    Query(switches): Query<Switches>,
    headers: HeaderMap,
    Valid(body): Valid<Body>,
) -> Result<Response, ApiError> {
    let request = request(&switches, &headers, body)?;
    let content_type = request.content_type();
    let details = json!({ "format": request.format.name() });
    let mut chunks = service::start(&app.admin_pools(&forwarded)?, request);
    // What fails before the first byte still has a status of its own.
    let first = chunks.next().await.transpose()?;
    app.record(&forwarded, caller.actor(), "EXPORT_DATABASE", details)
        .await?;
    let body = stream::iter(first.map(Ok)).chain(chunks);
    Ok((
        [(CONTENT_TYPE, content_type)],
        ResponseBody::from_stream(body),
    )
        .into_response())
}

fn request(switches: &Switches, headers: &HeaderMap, body: Body) -> Result<Request, ApiError> {
    let wanted = headers.get(ACCEPT).and_then(|value| value.to_str().ok());
    let wanted = wanted
        .unwrap_or_default()
        .split([',', ';'])
        .next()
        .unwrap_or_default()
        .trim();
    let format = body.format().unwrap_or(Format::Sql);
    let (format, wrapping) = match (wanted, format) {
        ("application/sql", _) => (Format::Sql, Wrapping::Bare),
        ("text/csv", _) => (Format::Csv, Wrapping::Bare),
        (_, format) => (format, Wrapping::Envelope),
    };
    if wrapping == Wrapping::Bare && format == Format::Csv && body.tables.len() != 1 {
        return Err(
            ApiError::invalid_input("tables: a text/csv answer has exactly one table")
                .with_hint("Name one table, or leave out the Accept header"),
        );
    }
    let row_limit = match (wrapping, body.row_limit) {
        (Wrapping::Envelope, Some(limit)) if limit > MAX_ROWS => {
            return Err(
                ApiError::invalid_input(format!("rowLimit: must be at most {MAX_ROWS}"))
                    .with_hint("Accept application/sql or text/csv for a stream without a limit"),
            );
        }
        (Wrapping::Envelope, limit) => Some(limit.unwrap_or(DEFAULT_ROWS)),
        (Wrapping::Bare, limit) => limit,
    };
    let values = switches.values()?;
    Ok(Request {
        tables: body.tables,
        format,
        wrapping,
        data: body.include_data,
        functions: body.include_functions,
        sequences: body.include_sequences,
        views: body.include_views,
        row_limit,
        values,
    })
}
