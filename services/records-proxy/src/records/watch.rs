//! Hears of schema changes: one LISTEN per project that has requests, closed when it has none.
//!
//! DDL announces itself on the channel `pgrst` whoever runs it, so this also hears of what other
//! programs do to the database.

use std::sync::{Arc, Weak};
use std::time::Duration;

use ingot_project::{LoginRole, Pools, ProjectId};
use moka::sync::Cache;
use sqlx::postgres::PgListener;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::Records;

/// A project without requests for so long is no longer listened to.
const IDLE: Duration = Duration::from_mins(10);
/// Pause before another attempt to listen.
const RETRY_PAUSE: Duration = Duration::from_secs(1);
/// Changes that follow each other within this time are one.
const SETTLE: Duration = Duration::from_millis(20);
/// Projects that are listened to at once.
const MAX_PROJECTS: u64 = 10_000;
/// Channel of DDL notifications.
const CHANNEL: &str = "pgrst";

/// The projects that are listened to.
#[derive(Debug)]
pub(crate) struct SchemaWatch {
    pools: Pools,
    shutdown: CancellationToken,
    listening: Cache<ProjectId, Arc<DropGuard>>,
}

impl SchemaWatch {
    /// Listens to nothing yet, and to nothing after `shutdown`.
    pub(crate) fn new(pools: Pools, shutdown: CancellationToken) -> Self {
        Self {
            pools,
            shutdown,
            listening: Cache::builder()
                .max_capacity(MAX_PROJECTS)
                .time_to_idle(IDLE)
                .build(),
        }
    }

    /// Makes sure that `records` hears of changes in a project that has a request now.
    pub(super) fn keep(&self, project: &ProjectId, records: &Weak<Records>) {
        self.listening.get_with_by_ref(project, || {
            let stop = self.shutdown.child_token();
            let listener = listen(self.pools.clone(), project.clone(), records.clone());
            tokio::spawn(stop.clone().run_until_cancelled_owned(listener));
            Arc::new(stop.drop_guard())
        });
    }

    /// Stops listening to projects without requests. To be called now and then.
    pub(crate) fn let_go(&self) {
        self.listening.run_pending_tasks();
    }
}

async fn listen(pools: Pools, project: ProjectId, records: Weak<Records>) {
    while let Err(error) = listen_until_error(&pools, &project, &records).await {
        tracing::warn!(%project, error, "cannot hear of schema changes");
        tokio::time::sleep(RETRY_PAUSE).await;
    }
}

/// Ends without an error when nobody is interested any more.
async fn listen_until_error(
    pools: &Pools,
    project: &ProjectId,
    records: &Weak<Records>,
) -> Result<(), String> {
    let pool = pools
        .get(project, LoginRole::Service)
        .map_err(|error| error.to_string())?;
    let mut listener = PgListener::connect_with(&pool)
        .await
        .map_err(|error| error.to_string())?;
    listener
        .listen(CHANNEL)
        .await
        .map_err(|error| error.to_string())?;
    loop {
        // Also after every new connection: changes may have been missed before it.
        let Some(records) = records.upgrade() else {
            return Ok(());
        };
        records.schema_changed(project).await;
        drop(records);
        listener
            .try_recv()
            .await
            .map_err(|error| error.to_string())?;
        tokio::time::sleep(SETTLE).await;
        while listener.next_buffered().is_some() {}
    }
}
