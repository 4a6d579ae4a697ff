//! The platform's rules around a records request: which names and bodies pass, which columns are
//! left out, what an answer looks like, who hears of it.
//!
//! Requests here are HTTP by nature, the engines speak PostgREST's dialect of it; so this service
//! takes and gives HTTP messages, unlike the services of other domains.

use std::sync::Arc;

use axum::body::Body;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method, Response};
use ingot_http::CheckResult;
use ingot_identity::Role;
use ingot_project::{Project, ProjectId};

use super::blanks::{self, NotJson};
use super::schema::{self, NameError};
use super::store::{ColumnTypes, ColumnsError};
use super::{Events, SchemaWatch, answer, headers};
use crate::engine::{EngineError, RecordsEngine, RecordsRequest, Target};

/// Records requests of all projects.
#[derive(Debug)]
pub(crate) struct Records {
    engine: Arc<dyn RecordsEngine>,
    columns: ColumnTypes,
    events: Events,
    watch: SchemaWatch,
}

/// Why a request was not executed, or got no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum RecordsError {
    /// The table's or function's name cannot be used.
    #[error("{0}")]
    Name(NameError),
    /// The schema's name cannot be used.
    #[error("{0}")]
    Schema(NameError),
    /// A role of the project's own, which only direct SQL can use.
    #[error("the role `{0}` cannot use records")]
    Role(Role),
    /// The body is not the JSON that it claims to be.
    #[error(transparent)]
    Body(#[from] NotJson),
    /// The column types could not be read.
    #[error(transparent)]
    Columns(#[from] ColumnsError),
    /// The engine has no answer.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

impl Records {
    /// A service on top of one engine.
    pub(crate) fn new(
        engine: Arc<dyn RecordsEngine>,
        columns: ColumnTypes,
        events: Events,
        watch: SchemaWatch,
    ) -> Self {
        Self {
            engine,
            columns,
            events,
            watch,
        }
    }

    /// Executes a request as the client sent it.
    pub(super) async fn execute(
        self: &Arc<Self>,
        mut request: RecordsRequest,
    ) -> Result<Response<Body>, RecordsError> {
        self.watch.keep(&request.project.id, &Arc::downgrade(self));
        if let Role::Other(_) = request.caller.role {
            return Err(RecordsError::Role(request.caller.role));
        }
        let (Target::Table(name) | Target::Function(name)) = &request.target;
        schema::check_name(name).map_err(RecordsError::Name)?;
        let choice = schema::choose(&request.method, &request.query, &mut request.headers)
            .map_err(RecordsError::Schema)?;
        request.query = choice.query;
        request.headers = headers::for_engine(request.headers);
        let schema = choice.schema.as_deref().unwrap_or(schema::DEFAULT);
        self.prepare_body(&mut request, schema).await?;

        let (method, target) = (request.method.clone(), request.target.clone());
        let project = request.project.id.clone();
        let mut answer = self.engine.execute(request).await?;
        headers::for_client(answer.status(), answer.headers_mut());
        if let Target::Table(table) = &target
            && changes_rows(&method)
            && answer.status().is_success()
        {
            self.events.rows_changed(&project, schema, table);
        }
        Ok(answer::finish(&method, &target, answer).await?)
    }

    /// Forgets what depends on a project's schema, at once.
    pub(crate) async fn schema_changed(&self, project: &ProjectId) {
        self.columns.forget(project);
        self.engine.schema_changed(project).await;
    }

    /// Whether requests for a project can be executed at the moment.
    pub(crate) async fn ready(&self, project: &Project) -> CheckResult {
        self.engine.ready(project).await
    }

    /// Closes what belongs to projects without requests. To be called now and then.
    pub(crate) async fn let_go(&self) {
        self.watch.let_go();
        self.engine.let_go().await;
    }

    /// Leaves only a body that the method has, checks it, and removes blanks that the table's
    /// columns cannot hold.
    async fn prepare_body(
        &self,
        request: &mut RecordsRequest,
        schema: &str,
    ) -> Result<(), RecordsError> {
        let writes = [Method::POST, Method::PUT, Method::PATCH].contains(&request.method);
        if !writes {
            request.body = Bytes::new();
            return Ok(());
        }
        let kind = BodyKind::of(&request.headers);
        if request.body.is_empty() && kind == BodyKind::Json {
            // No arguments, or a row of defaults.
            request.body = Bytes::from_static(b"{}");
            request
                .headers
                .entry(CONTENT_TYPE)
                .or_insert(HeaderValue::from_static("application/json"));
        }
        if kind == BodyKind::Json {
            blanks::check(&request.body)?;
        }
        let Target::Table(table) = &request.target else {
            return Ok(());
        };
        let blank = match kind {
            BodyKind::Json => blanks::possible(&request.body),
            BodyKind::Form => blanks::possible_in_form(&request.body),
            BodyKind::Other => false,
        };
        if !blank {
            return Ok(());
        }
        let project = &request.project.id;
        let Some(text) = self.columns.text_columns(project, schema, table).await? else {
            // No such table, as the engine will say better.
            return Ok(());
        };
        let drops = |column: &str| !text.contains(column);
        request.body = if kind == BodyKind::Json {
            blanks::remove(&request.body, drops)?
        } else {
            blanks::remove_from_form(&request.body, drops)
        };
        Ok(())
    }
}

fn changes_rows(method: &Method) -> bool {
    [Method::POST, Method::PUT, Method::PATCH, Method::DELETE].contains(method)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum BodyKind {
    /// JSON, also when nothing says what it is.
    Json,
    /// An HTML form.
    Form,
    /// CSV, plain text or bytes: the engine's affair.
    Other,
}

impl BodyKind {
    fn of(headers: &HeaderMap) -> Self {
        let Some(value) = headers.get(CONTENT_TYPE) else {
            return Self::Json;
        };
        let value = value.to_str().unwrap_or_default();
        let essence = value.split(';').next().unwrap_or_default().trim();
        if essence.eq_ignore_ascii_case("application/json") {
            Self::Json
        } else if essence.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            Self::Form
        } else {
            Self::Other
        }
    }
}
