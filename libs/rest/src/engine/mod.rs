//! The engine: takes a request through parse, plan, statement, transaction and answer.
//!
//! `upkeep` keeps the schema cache current, `settings` says what a transaction is told.

mod database_settings;
mod settings;
mod stopwatch;
mod upkeep;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::{HeaderName, HeaderValue, Method};
use tokio_postgres::Config;

use crate::answer::{Response, of_options};
use crate::error::RestError;
use crate::executor::{Answered, Connections, Job, Traces, open_pool, query};
use crate::memory::AnswerMemory;
use crate::operation::Operation;
use crate::plan::{self, Parsed, Planner};
use crate::request::preferences::TransactionEnd;
use crate::request::{Request, Session, Target};
use crate::schema::{Schema, SchemaStore};
use crate::settings::EngineSettings;
use crate::wire::tls::Tls;
pub use database_settings::database_settings;
use settings::Asked;
use stopwatch::Stopwatch;
pub use upkeep::Heard;

/// Codes of answers that a newer schema cache might turn into successes.
const MAYBE_STALE: [&str; 7] = [
    "", "42P01", "42703", "42704", "PGRST200", "PGRST202", "PGRST204",
];

/// Most parameters that the client library can send with one statement.
const MAX_PARAMETERS: usize = 32_767;

/// What an engine has counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// Times that the schema cache was loaded.
    pub schema_loads: u64,
    /// Times that it could not be loaded.
    pub schema_load_failures: u64,
    /// How long the last load took.
    pub schema_load_time: Duration,
    /// Requests that waited in vain: for a connection, or for the database to answer.
    pub pool_timeouts: u64,
}

/// The engine cannot be built.
#[derive(Debug, thiserror::Error)]
#[error("cannot build the connection pool: {0}")]
pub struct BuildError(#[from] deadpool::managed::BuildError);

/// Connections of an engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolStatus {
    /// Most that there may be.
    pub max: usize,
    /// Those that a request could have at once, open or still to be opened.
    pub available: usize,
    /// Requests that wait for one.
    pub waiting: usize,
}

/// The records engine of one database.
///
/// It opens connections when they are needed. [`Engine::run`] keeps the schema cache current;
/// without it the cache is loaded by the first request and reloaded only when a request names
/// something unknown or [`Engine::reload_schema`] is called.
pub struct Engine {
    settings: EngineSettings,
    config: Config,
    tls: Tls,
    pool: Connections,
    schema: SchemaStore,
    /// Largest body that there could be memory for.
    largest_answer: Option<u64>,
    pool_timeouts: AtomicU64,
}

impl Engine {
    /// An engine for the database and login role of `config`.
    pub fn new(settings: EngineSettings, config: Config, tls: Tls) -> Result<Self, BuildError> {
        Ok(Self {
            pool: open_pool(&settings, config.clone(), tls.clone(), None)?,
            schema: SchemaStore::default(),
            largest_answer: None,
            pool_timeouts: AtomicU64::new(0),
            settings,
            config,
            tls,
        })
    }

    /// The same engine with its large answers in `memory`, which others may share. An answer that
    /// would not fit is refused with 413, one that waits for memory as long as for a connection
    /// with 503.
    pub fn sharing(mut self, memory: &AnswerMemory) -> Result<Self, BuildError> {
        let (config, tls) = (self.config.clone(), self.tls.clone());
        self.pool = open_pool(&self.settings, config, tls, Some(memory.clone()))?;
        self.largest_answer = Some(memory.largest());
        Ok(self)
    }

    /// The settings that the engine was built with.
    pub const fn settings(&self) -> &EngineSettings {
        &self.settings
    }

    /// How the connections are doing.
    pub fn pool(&self) -> PoolStatus {
        let status = self.pool.status();
        PoolStatus {
            max: status.max_size,
            available: status.max_size.saturating_sub(status.size) + status.available,
            waiting: status.waiting,
        }
    }

    /// How long ago the schema cache was loaded; `None` until it is for the first time.
    pub fn schema_age(&self) -> Option<Duration> {
        self.schema.age()
    }

    /// What has happened so far.
    pub fn counts(&self) -> Counts {
        let (schema_loads, schema_load_failures, schema_load_time) = self.schema.loads();
        Counts {
            schema_loads,
            schema_load_failures,
            schema_load_time,
            pool_timeouts: self.pool_timeouts.load(Ordering::Relaxed),
        }
    }

    /// Asks the database something trivial.
    pub async fn ping(&self) -> Result<(), RestError> {
        let asked = query(&self.pool, self.settings.pool_queue, [("SELECT 1", &[])]);
        asked.await.map(drop)
    }

    /// The current schema cache; `None` until it was loaded for the first time.
    pub fn schema(&self) -> Option<Arc<Schema>> {
        self.schema.current()
    }

    /// Answers a request. Every failure is an answer too.
    pub async fn handle(&self, request: Request, session: &Session) -> Response {
        // Kept off the caller's stack: with all stages in it, the future is large.
        let answer = Box::pin(self.answer(&request, session));
        let outcome = tokio::time::timeout(self.settings.request_timeout, answer)
            .await
            .unwrap_or_else(|_| Err(RestError::pool_timeout()));
        if outcome
            .as_ref()
            .is_err_and(|error| error.code() == "PGRST003")
        {
            self.pool_timeouts.fetch_add(1, Ordering::Relaxed);
        }
        let mut response = outcome.unwrap_or_else(Response::from);
        if request.method == Method::HEAD {
            response.body.clear();
        }
        response
    }

    async fn answer(&self, request: &Request, session: &Session) -> Result<Response, RestError> {
        let mut stopwatch = Stopwatch::start();
        let mut parsed = plan::parse(request, &self.settings)?;
        stopwatch.lap("parse");
        let schema = self.loaded_schema().await?;
        if request.method == Method::OPTIONS {
            let planner = self.planner(&parsed, &schema);
            let response = of_options(&planner, &parsed)?;
            stopwatch.lap("plan");
            stopwatch.lap("response");
            return Ok(self.timed(response, &stopwatch));
        }
        self.check_timezone(&mut parsed).await?;
        let (operation, schema) = match self.plan(&parsed, &schema) {
            Err(error) if MAYBE_STALE.contains(&error.code()) => {
                match self.newer_schema(&parsed, &schema).await? {
                    Some(fresh) => (self.plan(&parsed, &fresh)?, fresh),
                    None => return Err(error),
                }
            }
            planned => (planned?, schema),
        };
        stopwatch.lap("plan");
        let answered = self.execute(request, session, &parsed, &operation, &schema);
        let answered = answered.await?;
        stopwatch.lap("transaction");
        let honours = self.settings.transaction_ending.allows_override();
        let response = operation.answer(&parsed, &request.path(), &answered, honours)?;
        stopwatch.lap("response");
        Ok(self.timed(response, &stopwatch))
    }

    /// The answer with how long its stages took, if that is to be told.
    fn timed(&self, mut response: Response, stopwatch: &Stopwatch) -> Response {
        if self.settings.server_timing
            && let Ok(timing) = HeaderValue::from_str(&stopwatch.header())
        {
            response
                .headers
                .insert(HeaderName::from_static("server-timing"), timing);
        }
        response
    }

    fn planner<'a>(&'a self, parsed: &'a Parsed, schema: &'a Schema) -> Planner<'a> {
        Planner {
            schema,
            settings: &self.settings,
            profile: &parsed.profile.schema,
        }
    }

    fn plan(&self, parsed: &Parsed, schema: &Arc<Schema>) -> Result<Operation, RestError> {
        let planner = self.planner(parsed, schema);
        match (&parsed.target, &parsed.method) {
            (Target::Root, _) => Operation::describe(&planner, parsed, schema.clone()),
            (Target::Relation(name), &Method::GET | &Method::HEAD) => {
                Operation::read(&planner, parsed, name)
            }
            (Target::Relation(name), _) => Operation::write(&planner, parsed, name),
            (Target::Function(name), _) => Operation::call(&planner, parsed, name),
        }
    }

    /// A timezone that PostgreSQL does not know is as good as none.
    async fn check_timezone(&self, parsed: &mut Parsed) -> Result<(), RestError> {
        if let Some(zone) = &parsed.preferences.timezone {
            let zones = self.schema.timezones(&self.pool, &self.settings).await?;
            if !zones.contains(zone) {
                parsed.preferences.refuse_timezone();
            }
        }
        Ok(())
    }

    async fn execute(
        &self,
        request: &Request,
        session: &Session,
        parsed: &Parsed,
        operation: &Operation,
        schema: &Schema,
    ) -> Result<Answered, RestError> {
        let of_role = schema.role_settings(&session.role);
        let asked = Asked {
            request,
            session,
            parsed,
            operation,
            of_role,
        };
        let settings = asked.settings(&self.settings);
        let ending = self.settings.transaction_ending;
        let wish = parsed
            .preferences
            .transaction
            .filter(|_| ending.allows_override());
        let commit = match wish {
            Some(TransactionEnd::Commit) => true,
            Some(TransactionEnd::Rollback) => false,
            None => ending.commits_by_default(),
        };
        let check = |answered: &Answered| operation.check(parsed, answered);
        let pre_request = self
            .settings
            .pre_request
            .as_ref()
            .map(|name| format!("SELECT {}()", quoted(name)));
        let largest = [self.settings.max_response_bytes, self.largest_answer];
        let largest = largest.into_iter().flatten().min();
        let statement = operation.statement(parsed, &self.settings, largest);
        if statement.parameters.len() > MAX_PARAMETERS {
            return Err(RestError::request_too_large(
                "number of values",
                MAX_PARAMETERS,
            ));
        }
        let explain = operation.explain(parsed);
        let job = Job {
            read_only: operation.read_only(),
            isolation: asked.isolation(),
            role: &session.role,
            settings: &settings,
            pre_request: pre_request.as_deref(),
            explain: explain.as_ref(),
            statement: &statement,
            answers_plan: operation.answers_plan(),
            commit,
            check: operation.needs_check(parsed).then_some(&check),
            traces: if self.settings.pre_request.is_some() {
                operation.traces(schema).max(Traces::Settings)
            } else {
                operation.traces(schema)
            },
            schema_version: schema.version,
            authenticated: session.authenticated,
        };
        let mut answered = job.run(&self.pool, self.settings.pool_queue).await?;
        Operation::apply_estimate(parsed, &self.settings, &mut answered);
        Ok(answered)
    }
}

/// `schema.function` or `function`, letter for letter.
fn quoted(name: &str) -> String {
    let quoted = |part: &str| format!("\"{}\"", part.replace('"', "\"\""));
    match name.split_once('.') {
        Some((schema, name)) => format!("{}.{}", quoted(schema), quoted(name)),
        None => quoted(name),
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
