//! When to delete, and how much at once. Only the active relay does it.

use std::time::Duration;

use ingot_project::{LoginRole, Pools, ProjectId};
use tokio_util::sync::CancellationToken;

use super::store;

/// Messages that one statement deletes.
const BATCH: u32 = 500;
/// Pause between two batches, so that those who wait for the disk get their turn.
const BATCH_PAUSE: Duration = Duration::from_millis(100);
/// Longest time that one batch may take.
const BATCH_TIMEOUT: Duration = Duration::from_secs(30);

/// Deletes what is too old, every `interval` until `term` ends. The first time comes soon, for a
/// relay may not stay active for long. Both times vary, so that the relays of many projects do not
/// all delete at the same moment.
pub(crate) async fn enforce(
    project: ProjectId,
    pools: Pools,
    interval: Duration,
    term: CancellationToken,
) {
    let sweeps = async {
        tokio::time::sleep(interval.mul_f64(rand::random_range(0.0..0.1))).await;
        loop {
            sweep(&project, &pools).await;
            tokio::time::sleep(interval.mul_f64(rand::random_range(0.9..1.1))).await;
        }
    };
    term.run_until_cancelled(sweeps).await;
}

/// Deletes batch by batch until one is not full. A failure is left to the next time.
async fn sweep(project: &ProjectId, pools: &Pools) {
    let Ok(pool) = pools.get(project, LoginRole::Service) else {
        return;
    };
    let mut total = 0;
    let outcome = loop {
        let batch = store::delete_expired(&pool, i64::from(BATCH));
        match tokio::time::timeout(BATCH_TIMEOUT, batch).await {
            Ok(Ok(deleted)) => {
                total += deleted;
                metrics::counter!("realtime_retention_deleted_total", "project" => project.to_string())
                    .increment(deleted);
                if deleted < u64::from(BATCH) {
                    break "ok";
                }
            }
            Ok(Err(error)) => {
                tracing::warn!(%project, %error, "old messages stay for now");
                break "failed";
            }
            Err(_) => {
                tracing::warn!(%project, "old messages stay for now: no answer");
                break "failed";
            }
        }
        tokio::time::sleep(BATCH_PAUSE).await;
    };
    metrics::counter!(
        "realtime_retention_sweeps_total", "project" => project.to_string(), "outcome" => outcome
    )
    .increment(1);
    if total > 0 {
        tracing::info!(%project, total, "deleted messages past their retention");
    }
}
