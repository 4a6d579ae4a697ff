//! The engine of our own: `ingot_rest` on the project's database, opened with a project's first
//! request and closed when it has none.

mod measures;
mod tls;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::body::Body;
use http::Response;
use ingot_config::{ByteSize, Seconds, Secret};
use ingot_http::CheckResult;
use ingot_identity::{Identity, Role};
use ingot_project::{LoginRole, Pools, Project, ProjectId};
use ingot_rest::{AnswerMemory, Engine, EngineSettings, Session};
use moka::future::Cache;
use tracing::Instrument;

use crate::engine::{EngineError, RecordsEngine, RecordsRequest, Target};
use measures::Measured;

/// A project without requests for so long is closed.
const IDLE: Duration = Duration::from_mins(10);
/// Projects that are open at once.
const MAX_PROJECTS: u64 = 10_000;
/// Longest time to establish a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Setting of a transaction that tells triggers which trace it belongs to.
const TRACE_SETTING: &str = "ingot.traceparent";

ingot_config::settings! {
    /// The native records engine.
    pub struct NativeSettings {
        /// Most connections per project.
        pool_size: usize = "INGOT_RECORDS_POOL_SIZE", default "10";
        /// Most rows that one read returns; unset means no limit.
        max_rows: Option<u64> = "INGOT_RECORDS_MAX_ROWS";
        /// Largest answer; larger ones are refused with 413.
        max_answer: ByteSize = "INGOT_RECORDS_MAX_ANSWER", default "64mb";
        /// Memory for answers over 64 KiB of all projects, all at once; more wait for it.
        answer_memory: ByteSize = "INGOT_RECORDS_ANSWER_MEMORY", default "128mb";
        /// Longest time, in seconds, that a request may take; then its statement is cancelled.
        request_timeout: Seconds = "INGOT_RECORDS_REQUEST_TIMEOUT", default "60";
    }
}

/// Executes requests on the project's own database.
#[derive(Debug)]
pub(crate) struct NativeEngine {
    pools: Pools,
    settings: NativeSettings,
    memory: AnswerMemory,
    open: Arc<Open>,
}

/// Engines by project.
type Open = Cache<ProjectId, Arc<Measured>>;

impl NativeEngine {
    /// Nothing is opened before it is needed.
    pub(crate) fn new(pools: Pools, settings: NativeSettings) -> Self {
        let open = Cache::builder()
            .max_capacity(MAX_PROJECTS)
            .time_to_idle(IDLE)
            .build();
        let open = Arc::new(open);
        measures::of(&open);
        Self {
            pools,
            memory: AnswerMemory::new(settings.answer_memory.0),
            settings,
            open,
        }
    }

    async fn engine(&self, project: &Project) -> Result<Arc<Measured>, EngineError> {
        self.open
            .try_get_with_by_ref(&project.id, self.build(project))
            .await
            .map_err(|error| EngineError::clone(&error))
    }

    async fn build(&self, project: &Project) -> Result<Arc<Measured>, EngineError> {
        let settings = EngineSettings {
            schemas: self.exposed_schemas(&project.id).await?,
            max_rows: self.settings.max_rows,
            max_response_bytes: Some(self.settings.max_answer.0),
            pool_size: self.settings.pool_size.max(1),
            request_timeout: self.settings.request_timeout.0,
            ..EngineSettings::default()
        };
        let tls = tls::for_mode(project.database.tls)?;
        let engine = Engine::new(settings, connection(project), tls);
        engine
            .and_then(|engine| engine.sharing(&self.memory))
            .map(|engine| Arc::new(Measured::new(project.id.clone(), engine)))
            .map_err(EngineError::internal)
    }

    /// The schemas that records may be in; the default comes first.
    async fn exposed_schemas(&self, project: &ProjectId) -> Result<Vec<String>, EngineError> {
        let pool = self
            .pools
            .get(project, LoginRole::Service)
            .map_err(EngineError::internal)?;
        sqlx::query_scalar("select system.exposed_schemas()")
            .fetch_one(&pool)
            .await
            .map_err(|error| EngineError::Unavailable(error.to_string()))
    }

    async fn refresh(&self, project: &ProjectId, engine: &Engine) -> Result<(), EngineError> {
        if self.exposed_schemas(project).await? == engine.settings().schemas {
            let reloaded = engine.reload_schema().await;
            reloaded
                .map(drop)
                .map_err(|error| EngineError::Unavailable(error.to_string()))
        } else {
            // The next request opens an engine with the new list; those under way finish here.
            self.open.invalidate(project).await;
            Ok(())
        }
    }
}

#[async_trait]
impl RecordsEngine for NativeEngine {
    async fn execute(&self, request: RecordsRequest) -> Result<Response<Body>, EngineError> {
        let engine = self.engine(&request.project).await?;
        let span = tracing::info_span!(
            "records.transaction",
            otel.kind = "client",
            db.system.name = "postgresql",
            db.namespace = request.project.database.name,
        );
        let answered = async {
            let session = session(&request.caller);
            let request = ingot_rest::Request {
                method: request.method,
                target: match request.target {
                    Target::Table(name) => ingot_rest::Target::Relation(name),
                    Target::Function(name) => ingot_rest::Target::Function(name),
                },
                query: request.query,
                headers: request.headers,
                body: request.body,
            };
            engine.handle(request, &session).await
        };
        let answered = answered.instrument(span).await;
        let mut answer = Response::new(Body::from(answered.body));
        *answer.status_mut() = answered.status;
        *answer.headers_mut() = answered.headers;
        Ok(answer)
    }

    async fn schema_changed(&self, project: &ProjectId) {
        if let Some(engine) = self.open.get(project).await
            && let Err(error) = self.refresh(project, &engine).await
        {
            tracing::warn!(%project, %error, "the schema could not be read again");
            metrics::counter!("records_schema_failures_total").increment(1);
            // Better none than an old one: the next request opens the engine anew.
            self.open.invalidate(project).await;
        }
    }

    async fn let_go(&self) {
        self.open.run_pending_tasks().await;
    }

    async fn ready(&self, project: &Project) -> CheckResult {
        let problem = |error: &dyn std::fmt::Display| format!("project {}: {error}", project.id);
        let engine = self
            .engine(project)
            .await
            .map_err(|error| problem(&error))?;
        let pool = self
            .pools
            .get(&project.id, LoginRole::Service)
            .map_err(|error| problem(&error))?;
        let answered = sqlx::query("select 1").execute(&pool).await;
        answered.map_err(|error| problem(&error))?;
        engine
            .loaded_schema()
            .await
            .map(drop)
            .map_err(|error| problem(&error))
    }
}

/// How PostgreSQL sees the caller.
fn session(caller: &Identity) -> Session {
    let trace = ingot_telemetry::current_traceparent();
    Session {
        role: caller.role.as_str().to_owned(),
        claims: caller.claims_json(),
        authenticated: caller.role != Role::Anon,
        settings: trace
            .into_iter()
            .map(|trace| (TRACE_SETTING.to_owned(), trace))
            .collect(),
    }
}

/// How the engine connects: as the login role of end users.
fn connection(project: &Project) -> tokio_postgres::Config {
    let database = &project.database;
    let password: Secret = project.login_password(LoginRole::Authenticator);
    let mut config = tokio_postgres::Config::new();
    config
        .host(&database.host)
        .port(database.port)
        .dbname(&database.name)
        .user(LoginRole::Authenticator.name(&project.id))
        .password(password.expose())
        .ssl_mode(tls::ssl_mode(database.tls))
        .application_name("ingot-records-proxy")
        .connect_timeout(CONNECT_TIMEOUT)
        .keepalives_idle(Duration::from_secs(30));
    config
}
