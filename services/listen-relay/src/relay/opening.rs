//! The log's opening, and what it does not tell of.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use ingot_project::Project;
use tokio::time::{sleep, timeout};

use super::delivery::Delivery;
use super::leadership::{Heard, answered};
use super::store;

/// Pause between looks at what was committed, while the log is not open.
const LOOK: Duration = Duration::from_millis(200);
/// Pauses between attempts to open the log; there is no last attempt.
const FIRST_LOG_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_LOG_PAUSE: Duration = Duration::from_secs(15);

impl Delivery {
    /// Opens the log where messages are heard of there. That may have to wait for transactions under
    /// way, or for somebody to mend what is wrong; what commits meanwhile is looked up.
    pub(super) async fn open_log(&mut self, project: &Arc<Project>) -> Result<(), sqlx::Error> {
        let mut pause = FIRST_LOG_PAUSE;
        while let Some(opening) = self.leadership.opening_log(project) {
            self.status.opening_log();
            match self.look_up_until(opening).await? {
                Ok(log) => {
                    self.status.opened_log();
                    let connection = self.leadership.connection();
                    self.untold_before = Some(answered(store::next_transaction(connection)).await?);
                    self.leadership.follow_log(log);
                    break;
                }
                Err(error) => {
                    tracing::warn!(
                        project = %self.project, %error, ?pause,
                        "messages are looked up until the log can be read"
                    );
                    self.status.cannot_open_log(&error);
                    self.look_up_until(sleep(pause)).await?;
                    pause = (pause * 2).min(LONGEST_LOG_PAUSE);
                }
            }
        }
        Ok(())
    }

    /// Publishes what commits while `waiting` takes, now and then.
    async fn look_up_until<T>(
        &mut self,
        waiting: impl Future<Output = T>,
    ) -> Result<T, sqlx::Error> {
        let mut waiting = pin!(waiting);
        loop {
            match timeout(LOOK, &mut waiting).await {
                Ok(done) => return Ok(done),
                Err(_elapsed) => {
                    self.publish_missed().await?;
                    self.show().await?;
                    self.hear_besides().await?;
                }
            }
        }
    }

    /// What the connection hears although messages are not heard of there.
    async fn hear_besides(&mut self) -> Result<(), sqlx::Error> {
        let mut permissions_changed = false;
        while let Some(heard) = self.leadership.hear_now() {
            permissions_changed |= heard? == Heard::Permissions;
        }
        if permissions_changed {
            self.tell_of_permissions().await;
        }
        Ok(())
    }

    /// Publishes what a snapshot sees and the log, opened a moment ago, did not tell of:
    /// transactions whose end was written before it was open, and seen only after the looks that
    /// were taken meanwhile.
    pub(super) async fn publish_untold(&mut self, snapshot: &str) -> Result<(), sqlx::Error> {
        let Some(opened) = self.untold_before else {
            return Ok(());
        };
        let from = self.delivered.clone();
        self.publish_between(&from, snapshot).await?;
        if store::oldest_unended(snapshot).is_some_and(|oldest| oldest > opened) {
            self.untold_before = None;
        }
        Ok(())
    }
}
