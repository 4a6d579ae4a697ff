//! One project's relay: standing by, and being the active one.
//!
//! [`leadership`] holds the lock and the connection, [`delivery`] is the active relay's work,
//! [`store`] the SQL, [`status`] what health and metrics tell about it.

mod delivery;
mod leadership;
mod status;
mod store;

use std::sync::Arc;
use std::time::Duration;

use ingot_bus::Bus;
use ingot_project::{Pools, Project};
use tokio_util::sync::CancellationToken;

use leadership::Leadership;
use status::Role;
pub(crate) use status::{Status, health};

/// Pauses between attempts to reach the database; there is no last attempt.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The relay of one project in this process.
pub(crate) struct Relay {
    project: Arc<Project>,
    pools: Pools,
    bus: Bus,
    status: Arc<Status>,
}

impl Relay {
    pub(crate) fn new(project: Arc<Project>, pools: Pools, bus: Bus, status: Arc<Status>) -> Self {
        Self {
            project,
            pools,
            bus,
            status,
        }
    }

    /// Stands by, relays while it has the lock, and begins again after every failure.
    pub(crate) async fn run(self, shutdown: CancellationToken) {
        let mut pause = FIRST_PAUSE;
        while !shutdown.is_cancelled() {
            let turn = Box::pin(Leadership::await_turn(&self.project, &self.status));
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
                tracing::warn!(project = %self.project.id, %error, "the relay starts over");
                self.status.note_failure(&error);
                shutdown
                    .run_until_cancelled(tokio::time::sleep(pause))
                    .await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
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
        let mut delivery = delivery::Delivery::new(
            leadership,
            self.bus.clone(),
            self.project.id.clone(),
            Arc::clone(&self.status),
        );
        let ended = delivery.run(shutdown).await;
        term.cancel();
        if let Err(error) = counting.await {
            tracing::error!(%error, "the audience counter died");
        }
        ended
    }
}
