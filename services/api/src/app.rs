//! What all handlers share, and what readiness depends on.

use std::sync::Arc;

use axum::extract::FromRef;
use ingot_bus::{Bus, DashboardEvent, Invalidation, UsersDeleted};
use ingot_http::{ApiError, CheckResult, Forwarded, Health};
use ingot_identity::Authenticator;
use ingot_project::{AdminPools, LoginRole, Pools, ProjectId};
use ingot_sql_guard::Guard;
use serde_json::Value;
use sqlx::PgPool;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::Config;
use crate::advance::Uploads;
use crate::audit;
use crate::auth::Auth;
use crate::backups::Backups;
use crate::dashboard::MAX_STREAMS;

/// SQL texts that are parsed at the same time; parsing is short and uses a core fully.
const PARALLEL_PARSERS: usize = 4;

/// Deleted users in one message to the realtime nodes.
const USERS_AT_ONCE: usize = 1_000;

/// State of the router; clones share everything.
#[derive(Debug, Clone, FromRef)]
pub(crate) struct App {
    /// Connections by project and login role.
    pub(crate) pools: Pools,
    /// Events to dashboards and to the caches of other services.
    pub(crate) bus: Bus,
    /// Who a caller is. The guards (`VerifyUser`, `VerifyAdmin`, ...) take it from here.
    pub(crate) identity: Authenticator,
    /// What the accounts' domain keeps in memory.
    pub(crate) auth: Arc<Auth>,
    /// What administrators' SQL may not do.
    pub(crate) guard: Guard,
    /// Files that administrators send.
    pub(crate) uploads: Uploads,
    /// Where backups are.
    pub(crate) backups: Arc<Backups>,
    /// A permit for each dashboard that listens.
    pub(crate) dashboard_streams: Arc<Semaphore>,
    /// Ends answers that would go on for ever.
    pub(crate) shutdown: CancellationToken,
}

impl App {
    /// The shared state. Nothing is connected yet when this returns; what it starts in the
    /// background ends with `shutdown`.
    pub(crate) async fn new(config: &Config, shutdown: &CancellationToken) -> anyhow::Result<Self> {
        let pools = Pools::new(Arc::new(config.registry.clone()), config.pools.clone());
        let bus = Bus::connect(&config.bus, "ingot-api").await?;
        let identity = Authenticator::new(pools.clone()).with_cloud(&config.cloud)?;
        identity.watch(&bus, shutdown);
        Ok(Self {
            pools,
            bus,
            identity,
            auth: Arc::new(Auth::new(config.admin.clone())),
            guard: Guard::new(PARALLEL_PARSERS),
            uploads: Uploads::new(config.uploads.clone()),
            backups: Backups::new(&config.backups),
            dashboard_streams: Arc::new(Semaphore::new(MAX_STREAMS)),
            shutdown: shutdown.clone(),
        })
    }

    /// The services' own connections to the database of the request's project.
    pub(crate) fn service_pool(&self, forwarded: &Forwarded) -> Result<PgPool, ApiError> {
        self.pools
            .get(&forwarded.project.id, LoginRole::Service)
            .map_err(|error| ApiError::internal(&error))
    }

    /// Sessions that run code of the request's project: its administrators' SQL, its triggers.
    pub(crate) fn admin_pools(&self, forwarded: &Forwarded) -> Result<AdminPools, ApiError> {
        self.pools
            .admin(&forwarded.project.id)
            .map_err(|error| ApiError::internal(&error))
    }

    /// Connections of an administrator for statements that run no code of the project.
    pub(crate) fn sql_pool(&self, forwarded: &Forwarded) -> Result<PgPool, ApiError> {
        self.pools
            .get(&forwarded.project.id, LoginRole::Sql)
            .map_err(|error| ApiError::internal(&error))
    }

    /// Keeps in the audit trail what an administrator did to the database.
    pub(crate) async fn record(
        &self,
        forwarded: &Forwarded,
        actor: &str,
        action: &'static str,
        details: Value,
    ) -> Result<(), ApiError> {
        let entry = audit::Entry {
            actor,
            action,
            module: "DATABASE",
            details,
            client: forwarded.client,
        };
        Ok(audit::record(&self.service_pool(forwarded)?, entry).await?)
    }

    /// Tells dashboards that something changed. A hint only: the change itself stands, so a bus
    /// that is away is logged and nothing else.
    pub(crate) async fn announce(&self, project: &ProjectId, event: DashboardEvent) {
        if let Err(error) = self.bus.publish_dashboard(project, &event).await {
            tracing::warn!(%project, %error, "dashboards were not told of a change");
        }
    }

    /// Tells the other services that what they remember no longer holds. A hint only, too: they
    /// look again by themselves within a minute.
    pub(crate) async fn invalidate(&self, project: &ProjectId, what: Invalidation) {
        if let Err(error) = self.bus.publish_invalidation(project, what).await {
            tracing::warn!(%project, %error, ?what, "caches were not told of a change");
        }
    }

    /// Tells realtime nodes that users are no more, so that their sockets are closed. A hint only:
    /// a node that misses it keeps the sockets until they go by themselves.
    pub(crate) async fn end_sockets(&self, project: &ProjectId, users: &[Uuid]) {
        for users in users.chunks(USERS_AT_ONCE) {
            let deleted = UsersDeleted {
                project: project.to_string(),
                users: users.to_vec(),
            };
            if let Err(error) = self.bus.publish_deleted_users(&deleted).await {
                tracing::warn!(%project, %error, "realtime was not told of deleted users");
            }
        }
    }

    /// Ready while NATS and every project's database answer, the databases with the schema of this
    /// build.
    pub(crate) fn health(&self) -> Health {
        let (pools, bus) = (self.pools.clone(), self.bus.clone());
        Health::new(vec![
            (
                "database",
                Box::new(move || Box::pin(databases_are_current(pools.clone()))),
            ),
            (
                "nats",
                Box::new(move || {
                    let connected = bus.is_connected();
                    Box::pin(async move { connected.then_some(()).ok_or("not connected".into()) })
                }),
            ),
        ])
    }
}

async fn databases_are_current(pools: Pools) -> CheckResult {
    for project in pools.registry().iter() {
        database_is_current(&pools, &project.id).await?;
    }
    Ok(())
}

/// Whether a project's database is there, with the schema of this build.
pub(crate) async fn database_is_current(pools: &Pools, project: &ProjectId) -> CheckResult {
    let pool = pools
        .get(project, LoginRole::Service)
        .map_err(|error| error.to_string())?;
    ingot_schema::check_current(&pool)
        .await
        .map_err(|error| format!("project {project}: {error}"))
}
