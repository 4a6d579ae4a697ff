//! Looks once a minute whether a project's scheduled backup is due. Replicas look side by side: the
//! first one makes it, the others find it busy or made.

use std::time::Duration;

use http::StatusCode;
use time::OffsetDateTime;

use super::service::Desk;
use crate::app::{App, database_is_current};

/// Pause between two looks.
const PAUSE: Duration = Duration::from_mins(1);

/// Makes scheduled backups, until it is dropped.
pub(crate) async fn run_schedules(app: App) {
    loop {
        for project in app.pools.registry().iter() {
            // Not prepared yet, or away: `/readyz` tells.
            if database_is_current(&app.pools, &project.id).await.is_err() {
                continue;
            }
            let ran = match Desk::new(&app, project) {
                Ok(desk) => desk.run_due(OffsetDateTime::now_utc()).await,
                Err(error) => Err(error),
            };
            match ran {
                Ok(false) => {}
                Ok(true) => tracing::info!(project = %project.id, "a scheduled backup began"),
                // Another backup or a restore; it stays due.
                Err(error) if error.status() == StatusCode::CONFLICT => {}
                Err(error) => {
                    tracing::warn!(project = %project.id, %error, "a schedule was not looked at");
                }
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}
