//! From the one row that a statement answered with to an HTTP response.

mod content;
mod from_database;
mod options;
mod slice;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};

pub(crate) use content::{Content, choose_for_call, choose_for_description, choose_for_relation};
pub(crate) use options::of_options;

use crate::error::RestError;
use crate::executor::Answered;
use crate::plan::Parsed;
use crate::plan::call::CallPlan;
use crate::plan::mutate::{Action, MutatePlan};
use crate::request::UNRESERVED;
use crate::request::preferences::{Honoured, Representation, Resolution};

/// An HTTP response.
#[derive(Debug, Clone)]
pub struct Response {
    /// Status.
    pub status: StatusCode,
    /// Headers, without a content length.
    pub headers: HeaderMap,
    /// Body; empty where HTTP wants none.
    pub body: Bytes,
    /// What the status line says, where the database wants other words than the usual.
    pub reason: Option<String>,
}

impl From<RestError> for Response {
    fn from(error: RestError) -> Self {
        let mut headers = error.headers().clone();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json; charset=utf-8"),
        );
        Self {
            status: error.status(),
            headers,
            body: error.body(),
            reason: error.reason().map(str::to_owned),
        }
    }
}

/// A response under construction.
struct Draft {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Draft {
    fn new(status: StatusCode) -> Self {
        Self {
            status,
            headers: HeaderMap::new(),
            body: Bytes::new(),
        }
    }

    fn header(&mut self, name: HeaderName, value: &str) {
        if let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) {
            self.headers.insert(name, value);
        }
    }

    /// The body, with what it is and, if there are several schemas, which one it is of.
    fn with_body(&mut self, parsed: &Parsed, content: &Content, body: Option<Bytes>) {
        self.header(header::CONTENT_TYPE, &content.media_type);
        if parsed.profile.negotiated {
            let schema = &parsed.profile.schema;
            self.header(HeaderName::from_static("content-profile"), schema);
        }
        self.body = body.unwrap_or_default();
    }

    fn applied(&mut self, parsed: &Parsed, honoured: Honoured) {
        if let Some(applied) = parsed.preferences.applied(honoured) {
            self.header(HeaderName::from_static("preference-applied"), &applied);
        }
    }

    /// Adds what the database asked for and finishes.
    fn finish(mut self, parsed: &Parsed, answered: &Answered) -> Result<Response, RestError> {
        if let Some(status) = from_database::status(answered)? {
            self.status = status;
        }
        from_database::add_headers(answered, &mut self.headers)?;
        if parsed.method == Method::HEAD {
            self.body = Bytes::new();
        }
        Ok(Response {
            status: self.status,
            headers: self.headers,
            body: self.body,
            reason: None,
        })
    }
}

/// The answer to GET or HEAD of a relation.
pub(crate) fn of_read(
    parsed: &Parsed,
    content: &Content,
    path: &str,
    answered: &Answered,
    transaction: bool,
) -> Result<Response, RestError> {
    if content.single {
        single(answered)?;
    }
    let range = slice::of_read(parsed.window, answered.page_total, answered.total);
    let mut draft = Draft::new(range.status);
    draft.header(header::CONTENT_RANGE, &range.header);
    let query = &parsed.query.canonical;
    let separator = if query.is_empty() { "" } else { "?" };
    draft.header(
        header::CONTENT_LOCATION,
        &format!("{path}{separator}{query}"),
    );
    draft.applied(
        parsed,
        Honoured {
            transaction,
            ..Honoured::default()
        },
    );
    let rows = || answered.body.clone();
    let body = range.error.as_ref().map(RestError::body).or_else(rows);
    draft.with_body(parsed, content, body);
    draft.finish(parsed, answered)
}

/// The answer to a write.
pub(crate) fn of_write(
    parsed: &Parsed,
    plan: &MutatePlan,
    content: &Content,
    answered: &Answered,
    transaction: bool,
) -> Result<Response, RestError> {
    let rows = answered.page_total;
    let full = parsed.preferences.representation == Some(Representation::Full);
    let inserted = answered.inserted.unwrap_or_default();
    let counted = parsed.preferences.counts_rows().then_some(rows);
    let (status, range) = match parsed.method {
        Method::POST => {
            let merged = parsed.preferences.resolution == Some(Resolution::Merge);
            let counts =
                matches!(&plan.action, Action::Insert(insert) if insert.conflict.is_some());
            let new = if counts { inserted } else { rows };
            let nothing_new = merged && new <= 0;
            let status = if nothing_new {
                StatusCode::OK
            } else {
                StatusCode::CREATED
            };
            (status, Some(slice::text(None, counted)))
        }
        Method::PUT => {
            let status = match (full, inserted > 0) {
                (true, true) => StatusCode::CREATED,
                (true, false) => StatusCode::OK,
                (false, _) => StatusCode::NO_CONTENT,
            };
            (status, None)
        }
        Method::PATCH => {
            let shown = (rows > 0).then(|| (0, rows - 1));
            let status = if full {
                StatusCode::OK
            } else {
                StatusCode::NO_CONTENT
            };
            (status, Some(slice::text(shown, counted)))
        }
        _ => {
            let status = if full {
                StatusCode::OK
            } else {
                StatusCode::NO_CONTENT
            };
            (status, Some(slice::text(None, counted)))
        }
    };
    let mut draft = Draft::new(status);
    if let Some(range) = range {
        draft.header(header::CONTENT_RANGE, &range);
    }
    if let Some(location) = location(plan, answered) {
        draft.header(header::LOCATION, &location);
    }
    draft.applied(
        parsed,
        Honoured {
            resolution: parsed.method == Method::POST
                && (parsed.query.on_conflict.is_some() || !plan.target.primary_key.is_empty()),
            missing: parsed.method != Method::DELETE && parsed.method != Method::PUT,
            representation: true,
            transaction,
            max_affected: matches!(parsed.method, Method::PATCH | Method::DELETE),
            ..Honoured::default()
        },
    );
    if full {
        draft.with_body(parsed, content, answered.body.clone());
    }
    draft.finish(parsed, answered)
}

/// The answer to a call.
pub(crate) fn of_call(
    parsed: &Parsed,
    plan: &CallPlan,
    content: &Content,
    answered: &Answered,
    transaction: bool,
) -> Result<Response, RestError> {
    if content.single {
        single(answered)?;
    }
    let range = slice::of_read(parsed.window, answered.page_total, answered.total);
    let mut draft = Draft::new(range.status);
    draft.header(header::CONTENT_RANGE, &range.header);
    draft.applied(
        parsed,
        Honoured {
            single_object: true,
            transaction,
            max_affected: true,
            ..Honoured::default()
        },
    );
    if plan.returns_void() {
        draft.status = StatusCode::NO_CONTENT;
    } else {
        let rows = || answered.body.clone();
        let body = range.error.as_ref().map(RestError::body).or_else(rows);
        draft.with_body(parsed, content, body);
    }
    draft.finish(parsed, answered)
}

/// The answer with a document instead of rows: an execution plan, the description of the API.
pub(crate) fn of_document(
    parsed: &Parsed,
    content: &Content,
    answered: &Answered,
) -> Result<Response, RestError> {
    let mut draft = Draft::new(StatusCode::OK);
    draft.with_body(parsed, content, answered.body.clone());
    draft.finish(parsed, answered)
}

/// One row was asked for.
pub(crate) fn single(answered: &Answered) -> Result<(), RestError> {
    if answered.page_total == 1 {
        Ok(())
    } else {
        Err(RestError::not_single(answered.page_total))
    }
}

/// `/<table>?id=eq.1` of a new row.
fn location(plan: &MutatePlan, answered: &Answered) -> Option<String> {
    let values: Vec<Option<String>> = serde_json::from_str(answered.location.as_deref()?).ok()?;
    let encode = |text: &str| percent_encoding::utf8_percent_encode(text, UNRESERVED).to_string();
    // In the order of the row's columns, not of the key's.
    let place = |name: &String| plan.target.columns.iter().position(|c| c.name == *name);
    let mut pairs: Vec<_> = plan.target.primary_key.iter().zip(values).collect();
    pairs.sort_by_key(|(column, _)| place(column));
    let pairs: Vec<String> = pairs
        .into_iter()
        .map(|(column, value)| match value {
            Some(value) => format!("{}=eq.{}", encode(column), encode(&value)),
            None => format!("{}=is.null", encode(column)),
        })
        .collect();
    Some(format!("/{}?{}", plan.target.name.name, pairs.join("&")))
}
