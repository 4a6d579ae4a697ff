//! One project's relay: standing by, and being the active one.
//!
//! [`leadership`] holds the lock and the connection, [`log`] reads PostgreSQL's log instead of notifications, [`delivery`] is the active relay's work,
//! [`store`] the SQL, [`status`] what health and metrics tell about it.

mod delivery;
mod encryption;
mod leadership;
mod log;
mod opening;
mod status;
mod store;

use std::sync::Arc;
use std::time::Duration;

use ingot_bus::Bus;
use ingot_project::{Pools, Project};
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use leadership::Leadership;
pub(crate) use log::LogReader;
use status::Role;
pub(crate) use status::{Status, health};
pub use store::LOCK;

use crate::webhooks::Sender;

/// Pauses between attempts to reach the database; there is no last attempt.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// How long a first start may take before a missing login is worth a warning.
const FIRST_MIGRATION: Duration = Duration::from_mins(1);

/// Whether PostgreSQL refuses the login or does not know the database: both are made by the
/// migration service.
fn is_login_missing(error: &sqlx::Error) -> bool {
    error
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code)
        .is_some_and(|code| ["28P01", "28000", "3D000"].contains(&code.as_ref()))
}

/// The relay of one project in this process.
pub(crate) struct Relay {
    project: Arc<Project>,
    pools: Pools,
    bus: Bus,
    /// Time between two deletions of old messages.
    retention_interval: Duration,
    webhooks: Webhooks,
    /// Who reads the log, where messages are heard of there.
    reader: Option<LogReader>,
    status: Arc<Status>,
}

/// How the active relay sends webhooks.
pub(crate) struct Webhooks {
    pub(crate) sender: Sender,
    pub(crate) longest_attempt: Duration,
}

impl Relay {
    pub(crate) fn new(
        project: Arc<Project>,
        pools: Pools,
        bus: Bus,
        retention_interval: Duration,
        webhooks: Webhooks,
        reader: Option<LogReader>,
        status: Arc<Status>,
    ) -> Self {
        Self {
            project,
            pools,
            bus,
            retention_interval,
            webhooks,
            reader,
            status,
        }
    }

    /// Stands by, relays while it has the lock, and begins again after every failure.
    pub(crate) async fn run(self, shutdown: CancellationToken) {
        let mut pause = FIRST_PAUSE;
        let begin = Instant::now();
        while !shutdown.is_cancelled() {
            let reader = self.reader.clone();
            let turn = Box::pin(Leadership::await_turn(&self.project, reader, &self.status));
            let ended = match shutdown.run_until_cancelled(turn).await {
                None => break,
                Some(Err(error)) => Err(error),
                Some(Ok(leadership)) => {
                    pause = FIRST_PAUSE;
                    self.lead(leadership, &shutdown).await
                }
            };
            self.status.become_role(Role::Connecting);
            if let Err(error) = ended {
                self.tell(&error, begin.elapsed());
                self.status.note_failure(&error);
                shutdown
                    .run_until_cancelled(tokio::time::sleep(pause))
                    .await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }

    /// At a first start the login does not exist before the migration service has made it, which
    /// should alarm nobody.
    fn tell(&self, error: &sqlx::Error, age: Duration) {
        let project = &self.project.id;
        if is_login_missing(error) && age < FIRST_MIGRATION {
            tracing::info!(%project, "waiting for the migration service to prepare the database");
            tracing::debug!(%project, %error, "the database is not prepared yet");
        } else {
            tracing::warn!(%project, %error, "the relay starts over");
        }
    }

    /// One term as the active relay: until the connection fails or `shutdown`.
    async fn lead(
        &self,
        leadership: Leadership,
        shutdown: &CancellationToken,
    ) -> Result<(), sqlx::Error> {
        tracing::info!(project = %self.project.id, "this relay is the active one");
        self.status.become_role(Role::Active);
        let term = shutdown.child_token();
        let counting = tokio::spawn(crate::audience::count(
            self.project.id.clone(),
            self.pools.clone(),
            self.bus.clone(),
            term.clone(),
        ));
        let retaining = tokio::spawn(crate::retention::enforce(
            self.project.id.clone(),
            self.pools.clone(),
            self.retention_interval,
            term.clone(),
        ));
        let news = Arc::new(Notify::new());
        let sending = tokio::spawn(crate::webhooks::send(
            Arc::clone(&self.project),
            self.pools.clone(),
            self.webhooks.sender.clone(),
            self.webhooks.longest_attempt,
            Arc::clone(&news),
            term.clone(),
        ));
        let mut delivery = delivery::Delivery::new(
            leadership,
            news,
            self.bus.clone(),
            self.project.id.clone(),
            Arc::clone(&self.status),
        );
        let ended = delivery.run(&self.project, shutdown).await;
        term.cancel();
        for (task, work) in [
            (counting, "the audience counter"),
            (retaining, "the deletion of old messages"),
            (sending, "the sending of webhooks"),
        ] {
            if let Err(error) = task.await {
                tracing::error!(%error, "{work} died");
            }
        }
        ended
    }
}
