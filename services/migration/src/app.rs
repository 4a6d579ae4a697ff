//! What the parts of the service share, and what readiness depends on.

use std::sync::Arc;

use axum::extract::FromRef;
use ingot_bus::Bus;
use ingot_http::{ApiError, CheckResult, Forwarded, Health};
use ingot_identity::Authenticator;
use ingot_project::{AdminPools, LoginRole, Pools};
use ingot_sql_guard::Guard;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use crate::Config;
use crate::bootstrap::Gate;
use crate::custom_migrations::RehearsalLimit;

/// SQL texts that are parsed at once.
const PARALLEL_PARSING: usize = 2;

/// State of the router; clones share everything.
#[derive(Debug, Clone, FromRef)]
pub(crate) struct App {
    /// Connections by project and login role.
    pub(crate) pools: Pools,
    /// Events to dashboards and to the caches of other services.
    pub(crate) bus: Bus,
    /// Who a caller is. The guards (`VerifyAdmin`) take it from here.
    pub(crate) identity: Authenticator,
    /// What developers' SQL may not do.
    pub(crate) guard: Guard,
    /// How often one client may rehearse migrations.
    pub(crate) rehearsals: RehearsalLimit,
    /// Which databases are up to date.
    pub(crate) gate: Gate,
}

impl App {
    /// The shared state. Nothing is connected yet when this returns; what it starts in the
    /// background ends with `shutdown`.
    pub(crate) async fn new(config: &Config, shutdown: &CancellationToken) -> anyhow::Result<Self> {
        let registry = Arc::new(config.bootstrap.registry.clone());
        let pools = Pools::new(Arc::clone(&registry), config.pools.clone());
        let bus = Bus::connect(&config.bus, "ingot-migration").await?;
        let identity = Authenticator::new(pools.clone()).with_cloud(&config.cloud)?;
        identity.watch(&bus, shutdown);
        Ok(Self {
            gate: Gate::new(&config.bootstrap, registry),
            guard: Guard::new(PARALLEL_PARSING),
            rehearsals: RehearsalLimit::new(),
            identity,
            bus,
            pools,
        })
    }

    /// Connections to the database of the request's project.
    pub(crate) fn pool(&self, forwarded: &Forwarded, role: LoginRole) -> Result<PgPool, ApiError> {
        self.pools
            .get(&forwarded.project.id, role)
            .map_err(|error| ApiError::internal(&error))
    }

    /// Sessions that run code of the request's project.
    pub(crate) fn admin_pools(&self, forwarded: &Forwarded) -> Result<AdminPools, ApiError> {
        self.pools
            .admin(&forwarded.project.id)
            .map_err(|error| ApiError::internal(&error))
    }

    /// Ready once the gate is open, and while every database answers with the schema of this build.
    /// `refused` in the answer says what waiting does not heal.
    pub(crate) fn health(&self) -> Health {
        let app = self.clone();
        let gate = self.gate.clone();
        Health::new(vec![(
            "schema",
            Box::new(move || {
                let app = app.clone();
                Box::pin(async move { app.schemas_are_current().await })
            }),
        )])
        .with_detail("refused", move || gate.refusal().into())
    }

    async fn schemas_are_current(&self) -> CheckResult {
        self.gate.check()?;
        for project in self.pools.registry().iter() {
            let pool = self
                .pools
                .get(&project.id, LoginRole::Service)
                .map_err(|error| error.to_string())?;
            ingot_schema::check_current(&pool)
                .await
                .map_err(|error| format!("project {}: {error}", project.id))?;
        }
        Ok(())
    }
}
