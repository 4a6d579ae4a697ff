//! Removes sessions that have expired.

use std::time::Duration;

use ingot_project::LoginRole;

use super::store;
use crate::app::App;

/// Pause between two sweeps of one replica.
const PAUSE: Duration = Duration::from_hours(1);
/// Sessions that are removed in one statement, so that it holds its locks shortly.
const BATCH: i64 = 1000;

/// Sweeps all projects again and again. Replicas do so side by side without harm; run it until
/// shutdown.
pub(crate) async fn sweep(app: App) {
    loop {
        tokio::time::sleep(PAUSE).await;
        for project in app.pools.registry().iter() {
            let Ok(pool) = app.pools.get(&project.id, LoginRole::Service) else {
                continue;
            };
            loop {
                match store::remove_expired(&pool, BATCH).await {
                    Ok(removed) if i64::try_from(removed).is_ok_and(|n| n == BATCH) => {}
                    Ok(_) => break,
                    Err(error) => {
                        tracing::warn!(project = %project.id, %error, "cannot sweep sessions");
                        break;
                    }
                }
            }
        }
    }
}
