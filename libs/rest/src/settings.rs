//! What an engine can be told. Reading these from the environment is the host's affair.

use std::time::Duration;

/// How a transaction of a writing request ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TransactionEnding {
    /// Commit, whatever the client prefers.
    #[default]
    Commit,
    /// Commit unless the client sends `Prefer: tx=rollback`.
    CommitAllowOverride,
    /// Roll back, whatever the client prefers.
    Rollback,
    /// Roll back unless the client sends `Prefer: tx=commit`.
    RollbackAllowOverride,
}

impl TransactionEnding {
    /// `Prefer: tx=` is listened to.
    pub(crate) fn allows_override(self) -> bool {
        matches!(
            self,
            Self::CommitAllowOverride | Self::RollbackAllowOverride
        )
    }

    /// What happens without a preference.
    pub(crate) fn commits_by_default(self) -> bool {
        matches!(self, Self::Commit | Self::CommitAllowOverride)
    }
}

/// What the root of the API shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OpenApiMode {
    /// What the request's role has privileges for.
    #[default]
    FollowPrivileges,
    /// Everything in the schema.
    IgnorePrivileges,
    /// Nothing.
    Disabled,
}

/// Settings of an [`crate::Engine`].
#[derive(Debug, Clone, PartialEq)]
pub struct EngineSettings {
    /// Schemas whose tables, views and functions are reachable. The first is the default.
    pub schemas: Vec<String>,
    /// Schemas that are searched after the request's own, for example for extensions.
    pub extra_search_path: Vec<String>,
    /// Most rows that one read returns. `None`: no limit.
    pub max_rows: Option<u64>,
    /// Largest body that is sent, in bytes; a larger answer is refused with 413. It bounds the
    /// memory that one request takes. `None`: no limit but PostgreSQL's own of 1 GB.
    pub max_response_bytes: Option<u64>,
    /// `sum()`, `count()` and the like may be selected.
    pub aggregates_enabled: bool,
    /// `Accept: application/vnd.pgrst.plan` is answered.
    pub plan_enabled: bool,
    /// Answers carry a `Server-Timing` header with the time that each stage took.
    pub server_timing: bool,
    /// What the root of the API shows.
    pub openapi_mode: OpenApiMode,
    /// Address of the API in its description, for example `https://api.example.org/rest`.
    pub openapi_server_uri: Option<String>,
    /// The description says that a token is asked for.
    pub openapi_security: bool,
    /// How transactions end.
    pub transaction_ending: TransactionEnding,
    /// A function to call before the statement of every request, in that transaction. Its name may
    /// have a schema before a dot; neither is quoted, and both are meant as they are written.
    pub pre_request: Option<String>,
    /// Most connections to the database.
    pub pool_size: usize,
    /// Longest wait for a free connection; after it the answer is 504 PGRST003.
    pub pool_timeout: Duration,
    /// Most requests that wait for a connection; more are answered with 504 at once.
    pub pool_queue: usize,
    /// Connections that nobody used for so long are closed, while [`crate::Engine::run`] runs.
    pub pool_idle_timeout: Duration,
    /// Connections older than this are replaced.
    pub pool_max_lifetime: Duration,
    /// Settings of a function (`CREATE FUNCTION … SET`) that hold for the whole transaction.
    pub hoisted_settings: Vec<String>,
    /// `statement_timeout` of every request. `None`: the role's own.
    pub statement_timeout: Option<Duration>,
    /// Longest time that the engine waits for the database to answer a request. A statement that
    /// is still running then is cancelled in PostgreSQL.
    pub request_timeout: Duration,
    /// Prepared statements that each connection keeps. 0: none, as a pooler in transaction mode
    /// needs it.
    pub statement_cache_size: usize,
    /// Channel whose notifications reload the schema cache. `None`: nobody listens, as a pooler in
    /// transaction mode needs it.
    pub notification_channel: Option<String>,
}

impl Default for EngineSettings {
    fn default() -> Self {
        Self {
            schemas: vec!["public".to_owned()],
            extra_search_path: vec!["public".to_owned()],
            max_rows: None,
            max_response_bytes: Some(64 << 20),
            aggregates_enabled: false,
            plan_enabled: false,
            server_timing: false,
            openapi_mode: OpenApiMode::FollowPrivileges,
            openapi_server_uri: None,
            openapi_security: false,
            transaction_ending: TransactionEnding::Commit,
            pre_request: None,
            pool_size: 10,
            pool_timeout: Duration::from_secs(10),
            pool_queue: 1000,
            pool_idle_timeout: Duration::from_secs(30),
            pool_max_lifetime: Duration::from_mins(30),
            hoisted_settings: [
                "statement_timeout",
                "plan_filter.statement_cost_limit",
                "default_transaction_isolation",
            ]
            .map(str::to_owned)
            .to_vec(),
            statement_timeout: None,
            request_timeout: Duration::from_mins(1),
            statement_cache_size: 256,
            notification_channel: Some("pgrst".to_owned()),
        }
    }
}
