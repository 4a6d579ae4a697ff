//! What executes records requests: the trait that both engines implement, and what goes in and out.
//!
//! The rules of `records/` are applied before a request gets here and after its answer comes back,
//! so that both engines behave alike.

use std::sync::Arc;

use async_trait::async_trait;
use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, Method, Response};
use ingot_http::CheckResult;
use ingot_identity::Identity;
use ingot_project::{Project, ProjectId};

/// What a request is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// Rows of a table or view.
    Table(String),
    /// A function call.
    Function(String),
}

/// A request for an engine: checked, with the schema choice in its profile header.
#[derive(Debug, Clone)]
pub(crate) struct RecordsRequest {
    /// The project whose database it is about.
    pub(crate) project: Arc<Project>,
    /// As whom it is executed: an administrator, a user or an anonymous caller.
    pub(crate) caller: Identity,
    /// The method, unchanged.
    pub(crate) method: Method,
    /// The table or function.
    pub(crate) target: Target,
    /// The query string as the client encoded it, without `schema`.
    pub(crate) query: String,
    /// The client's headers without credentials and without those of a single connection.
    pub(crate) headers: HeaderMap,
    /// The body; empty where the method has none.
    pub(crate) body: Bytes,
}

/// Why an engine has no answer. PostgREST-style errors are answers.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum EngineError {
    /// The database or PostgREST cannot be reached.
    #[error("{0}")]
    Unavailable(String),
    /// It took too long; the request may have been executed.
    #[error("{0}")]
    TimedOut(String),
    /// A bug or a state that should not be.
    #[error("{0}")]
    Internal(String),
}

impl EngineError {
    /// An internal error with its cause, for the log.
    pub(crate) fn internal(cause: impl std::fmt::Display) -> Self {
        Self::Internal(cause.to_string())
    }
}

/// Executes records requests.
#[async_trait]
pub(crate) trait RecordsEngine: Send + Sync + std::fmt::Debug {
    /// Executes one request. Errors of the caller come back as an answer with PostgREST's status
    /// and body.
    async fn execute(&self, request: RecordsRequest) -> Result<Response<Body>, EngineError>;

    /// Tables, columns or functions of a project changed.
    async fn schema_changed(&self, project: &ProjectId);

    /// Closes what belongs to projects without requests. Called now and then.
    async fn let_go(&self) {}

    /// Whether requests for a project can be executed at the moment.
    async fn ready(&self, project: &Project) -> CheckResult;
}
