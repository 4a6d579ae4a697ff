//! Connection pools that belong to a project: opened on demand, empty again when nobody asks.

use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;

use crate::{LoginRole, Project, ProjectId, ProjectRegistry};

/// Projects whose pools are remembered; a further one closes the longest unused.
const MAX_PROJECTS: u64 = 10_000;

ingot_config::settings! {
    /// Connections of one service process to one project's database.
    pub struct PoolSettings {
        /// Most connections per project and login role.
        max_connections: u32 = "INGOT_POOL_MAX_CONNECTIONS", default "10";
        /// Longest wait for a free connection, in seconds; then the caller gets a 503.
        acquire_timeout: ingot_config::Seconds = "INGOT_POOL_ACQUIRE_TIMEOUT", default "5";
        /// A connection unused for so many seconds is closed.
        idle_timeout: ingot_config::Seconds = "INGOT_POOL_IDLE_TIMEOUT", default "30";
    }
}

/// Pools by project and login role.
#[derive(Debug, Clone)]
pub struct Pools {
    registry: Arc<ProjectRegistry>,
    settings: PoolSettings,
    open: Cache<(ProjectId, LoginRole), PgPool>,
}

/// No pool can be had.
#[derive(Debug, thiserror::Error)]
pub enum PoolError {
    /// The registry does not know the project.
    #[error("project `{0}` is not served here")]
    UnknownProject(ProjectId),
}

impl Pools {
    /// Pools for the projects of `registry`; nothing is opened yet.
    pub fn new(registry: Arc<ProjectRegistry>, settings: PoolSettings) -> Self {
        let open = Cache::builder()
            .max_capacity(MAX_PROJECTS)
            .time_to_idle(Duration::from_mins(10))
            .build();
        Self {
            registry,
            settings,
            open,
        }
    }

    /// The projects behind these pools.
    pub fn registry(&self) -> &Arc<ProjectRegistry> {
        &self.registry
    }

    /// The pool of `project` for `role`. No connection is made before the first query.
    pub fn get(&self, project: &ProjectId, role: LoginRole) -> Result<PgPool, PoolError> {
        let Some(project) = self.registry.get(project) else {
            return Err(PoolError::UnknownProject(project.clone()));
        };
        Ok(self
            .open
            .get_with((project.id.clone(), role), || self.create(project, role)))
    }

    fn create(&self, project: &Project, role: LoginRole) -> PgPool {
        PgPoolOptions::new()
            .min_connections(0)
            .max_connections(self.settings.max_connections)
            .acquire_timeout(self.settings.acquire_timeout.0)
            .idle_timeout(self.settings.idle_timeout.0)
            .connect_lazy_with(project.connect_options(role))
    }
}
