//! Connection pools that belong to a project: opened on demand, empty again when nobody asks.

use std::sync::{Arc, Mutex, PoisonError, Weak};
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
    open: Arc<Open>,
}

type Open = Cache<(ProjectId, LoginRole), PgPool>;

/// All pools of the process, for its metrics.
static ALL: Mutex<Vec<Weak<Open>>> = Mutex::new(Vec::new());

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
        let open = Arc::new(open);
        let mut all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|pools| pools.strong_count() > 0);
        all.push(Arc::downgrade(&open));
        ingot_telemetry::read_on_demand(measure);
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
            // Whoever waited in vain says so; that others waited is measured.
            .acquire_slow_threshold(self.settings.acquire_timeout.0)
            .idle_timeout(self.settings.idle_timeout.0)
            .connect_lazy_with(project.connect_options(role))
    }
}

/// Tells how many connections are open, in use and allowed, by login role over all projects.
fn measure() {
    let all = ALL.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let pools: Vec<_> = all.iter().filter_map(Weak::upgrade).collect();
    for role in LoginRole::ALL {
        let (mut open, mut used, mut most) = (0, 0, 0);
        for cache in &pools {
            for (_, pool) in cache.iter().filter(|(key, _)| key.1 == role) {
                let (size, idle) = (pool.size(), u32::try_from(pool.num_idle()).unwrap_or(0));
                open += size;
                used += size.saturating_sub(idle);
                most += pool.options().get_max_connections();
            }
        }
        let gauge = |name, count: u32| metrics::gauge!(name, "role" => role.label()).set(count);
        gauge("database_pool_connections", open);
        gauge("database_pool_connections_used", used);
        gauge("database_pool_connections_max", most);
    }
}
