//! The engine: takes a request through parse, plan, statement, transaction and answer.

use std::sync::Arc;

use http::{HeaderMap, Method};
use tokio::sync::mpsc;
use tokio_postgres::Config;
use tokio_util::sync::CancellationToken;

use crate::answer::Response;
use crate::error::RestError;
use crate::executor::tls::Tls;
use crate::executor::{Answered, Connections, Job, Lease, Notice, listen, open_pool};
use crate::operation::Operation;
use crate::plan::{self, Parsed, Planner};
use crate::request::preferences::TransactionEnd;
use crate::request::{Request, Session, Target};
use crate::schema::{Schema, SchemaStore};
use crate::settings::EngineSettings;

/// Codes of answers that a newer schema cache might turn into successes.
const MAYBE_STALE: [&str; 6] = [
    "42P01", "42703", "42704", "PGRST200", "PGRST202", "PGRST204",
];

/// Setting that BEGIN takes, because it cannot be set later.
const ISOLATION: &str = "default_transaction_isolation";

/// Notices that may wait for the reload loop.
const NOTICES: usize = 16;

/// The engine cannot be built.
#[derive(Debug, thiserror::Error)]
#[error("cannot build the connection pool: {0}")]
pub struct BuildError(#[from] deadpool::managed::BuildError);

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
}

impl Engine {
    /// An engine for the database and login role of `config`.
    pub fn new(settings: EngineSettings, config: Config, tls: Tls) -> Result<Self, BuildError> {
        Ok(Self {
            pool: open_pool(&settings, config.clone(), tls.clone())?,
            schema: SchemaStore::default(),
            settings,
            config,
            tls,
        })
    }

    /// The settings that the engine was built with.
    pub const fn settings(&self) -> &EngineSettings {
        &self.settings
    }

    /// The current schema cache; `None` until it was loaded for the first time.
    pub fn schema(&self) -> Option<Arc<Schema>> {
        self.schema.current()
    }

    /// Loads the schema cache anew. Requests go on with the old one meanwhile.
    pub async fn reload_schema(&self) -> Result<Arc<Schema>, RestError> {
        let mut lease = Lease::take(&self.pool, self.settings.pool_queue).await?;
        let connection = lease.work()?;
        let loaded = self.schema.reload(&connection.client, &self.settings).await;
        if loaded.is_ok() {
            lease.rest();
        }
        loaded.map_err(|error| {
            tracing::error!(%error, "could not load the schema cache");
            RestError::no_schema()
        })
    }

    /// The schema cache, loaded now if it never was.
    pub async fn loaded_schema(&self) -> Result<Arc<Schema>, RestError> {
        match self.schema.current() {
            Some(schema) => Ok(schema),
            None => self.reload_schema().await,
        }
    }

    /// Keeps the schema cache current until `shutdown`: listens on the notification channel for
    /// `reload schema` and reloads after every new connection, since anything may have been missed
    /// before it.
    pub async fn run(&self, shutdown: CancellationToken) {
        let (sender, mut notices) = mpsc::channel(NOTICES);
        let channel = self.settings.notification_channel.clone();
        let listener = listen(
            self.config.clone(),
            self.tls.clone(),
            channel,
            sender,
            shutdown.clone(),
        );
        let reloader = async {
            while let Some(notice) = notices.recv().await {
                let wanted = match notice {
                    Notice::Connected => true,
                    Notice::Payload(payload) => payload.is_empty() || payload == "reload schema",
                };
                if wanted {
                    Box::pin(self.reload_until_done(&shutdown)).await;
                }
            }
        };
        tokio::join!(Box::pin(listener), reloader);
    }

    async fn reload_until_done(&self, shutdown: &CancellationToken) {
        let mut pause = std::time::Duration::from_millis(200);
        while self.reload_schema().await.is_err() {
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
            pause = (pause * 2).min(std::time::Duration::from_secs(10));
        }
    }

    /// Answers a request. Every failure is an answer too.
    pub async fn handle(&self, request: Request, session: &Session) -> Response {
        // Kept off the caller's stack: with all stages in it, the future is large.
        let outcome = Box::pin(self.answer(&request, session)).await;
        let mut response = outcome.unwrap_or_else(Response::from);
        if request.method == Method::HEAD {
            response.body.clear();
        }
        response
    }

    async fn answer(&self, request: &Request, session: &Session) -> Result<Response, RestError> {
        let mut parsed = plan::parse(request, &self.settings)?;
        let schema = self.loaded_schema().await?;
        let (operation, schema) = match self.plan(&parsed, &schema) {
            Err(error) if MAYBE_STALE.contains(&error.code()) => {
                let fresh = self.reload_schema().await?;
                (self.plan(&parsed, &fresh)?, fresh)
            }
            planned => (planned?, schema),
        };
        let time_limit = self.settings.request_timeout;
        let work = async {
            let mut lease = Lease::take(&self.pool, self.settings.pool_queue).await?;
            self.check_timezone(&mut parsed, &mut lease).await?;
            let answered = self
                .execute(request, session, &parsed, &operation, &schema, &mut lease)
                .await?;
            Ok((parsed, answered))
        };
        let (parsed, answered) = tokio::time::timeout(time_limit, work)
            .await
            .unwrap_or_else(|_| Err(RestError::pool_timeout()))?;
        let honours = self.settings.transaction_ending.allows_override();
        operation.answer(&parsed, &request.path(), &answered, honours)
    }

    fn plan(&self, parsed: &Parsed, schema: &Schema) -> Result<Operation, RestError> {
        let planner = Planner {
            schema,
            settings: &self.settings,
            profile: &parsed.profile.schema,
        };
        match (&parsed.target, &parsed.method) {
            (Target::Root, _) => Err(RestError::no_description()),
            (Target::Relation(name), &Method::GET | &Method::HEAD) => {
                Operation::read(&planner, parsed, name)
            }
            (Target::Relation(name), _) => Operation::write(&planner, parsed, name),
            (Target::Function(name), _) => Operation::call(&planner, parsed, name),
        }
    }

    /// A timezone that PostgreSQL does not know is ignored, or refused under strict handling.
    async fn check_timezone(
        &self,
        parsed: &mut Parsed,
        lease: &mut Lease,
    ) -> Result<(), RestError> {
        let Some(zone) = parsed.preferences.timezone.clone() else {
            return Ok(());
        };
        let connection = lease.work()?;
        let known = self.schema.knows_timezone(&connection.client, &zone).await;
        lease.rest();
        match known {
            Ok(true) => Ok(()),
            Ok(false) => parsed.preferences.refuse_timezone(),
            Err(error) => Err(crate::error::from_postgres(&error, true)),
        }
    }

    async fn execute(
        &self,
        request: &Request,
        session: &Session,
        parsed: &Parsed,
        operation: &Operation,
        schema: &Schema,
        lease: &mut Lease,
    ) -> Result<Answered, RestError> {
        let of_role = schema.role_settings(&session.role);
        let settings = self.transaction_settings(request, session, parsed, operation, of_role);
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
            .map(|name| format!("SELECT {name}()"));
        let statement = operation.statement(parsed, &self.settings);
        let explain = operation.explain(parsed, &self.settings);
        let job = Job {
            read_only: operation.read_only(),
            isolation: isolation(operation.settings()).or_else(|| isolation(of_role)),
            role: &session.role,
            settings: &settings,
            pre_request: pre_request.as_deref(),
            explain: explain.as_ref(),
            statement: &statement,
            answers_plan: operation.answers_plan(),
            commit,
            check: operation.needs_check(parsed).then_some(&check),
            schema_version: schema.version,
            authenticated: session.authenticated,
        };
        let mut answered = job.run(lease).await?;
        Operation::apply_estimate(parsed, &self.settings, &mut answered);
        Ok(answered)
    }

    /// What the transaction's settings are, in the order in which they are set.
    fn transaction_settings<'a>(
        &'a self,
        request: &Request,
        session: &'a Session,
        parsed: &Parsed,
        operation: &'a Operation,
        of_role: &'a [(String, String)],
    ) -> Vec<(&'a str, String)> {
        let mut path = vec![parsed.profile.schema.clone()];
        let extra = self.settings.extra_search_path.iter().cloned();
        path.extend(extra.filter(|schema| *schema != parsed.profile.schema));
        let quoted: Vec<String> = path
            .iter()
            .map(|schema| format!("\"{}\"", schema.replace('"', "\"\"")))
            .collect();
        let mut settings = vec![
            ("search_path", quoted.join(", ")),
            ("role", session.role.clone()),
            ("request.jwt.claims", session.claims.clone()),
            ("request.method", request.method.as_str().to_owned()),
            ("request.path", request.path()),
            ("request.headers", headers_json(&request.headers)),
            ("request.cookies", cookies_json(&request.headers)),
        ];
        if let Some(limit) = self.settings.statement_timeout {
            settings.push(("statement_timeout", limit.as_millis().to_string()));
        }
        if let Some(zone) = &parsed.preferences.timezone {
            settings.push(("timezone", zone.clone()));
        }
        let extra = session.settings.iter();
        settings.extend(extra.map(|(name, value)| (name.as_str(), value.clone())));
        let hoisted = of_role.iter().chain(operation.settings());
        let hoisted = hoisted.filter(|(name, _)| name != ISOLATION);
        settings.extend(hoisted.map(|(name, value)| (name.as_str(), value.clone())));
        settings
    }
}

/// The isolation level among the settings of a role or function, if it is not the default.
fn isolation(settings: &[(String, String)]) -> Option<&'static str> {
    let (_, level) = settings.iter().find(|(name, _)| name == ISOLATION)?;
    match level.trim_matches('\'').to_ascii_lowercase().as_str() {
        "serializable" => Some("SERIALIZABLE"),
        "repeatable read" => Some("REPEATABLE READ"),
        _ => None,
    }
}

/// All headers but the cookies as an object; the last of several values counts.
fn headers_json(headers: &HeaderMap) -> String {
    let mut object = serde_json::Map::new();
    for (name, value) in headers {
        if name != http::header::COOKIE {
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            object.insert(name.as_str().to_owned(), value.into());
        }
    }
    serde_json::Value::Object(object).to_string()
}

fn cookies_json(headers: &HeaderMap) -> String {
    let mut object = serde_json::Map::new();
    for header in headers.get_all(http::header::COOKIE) {
        let text = String::from_utf8_lossy(header.as_bytes());
        for (name, value) in text.split(';').filter_map(|pair| pair.split_once('=')) {
            object.insert(name.trim().to_owned(), value.trim().into());
        }
    }
    serde_json::Value::Object(object).to_string()
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
