//! Summing the nodes' counts. Only the active relay does it, so that each count is written once.

use std::time::Duration;

use futures::StreamExt;
use ingot_bus::Bus;
use ingot_project::{LoginRole, Pools, ProjectId};
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::store;
use super::sums::{LANES, Sums};

/// How often the sums of one lane are written; all lanes have had their turn within a second.
const WRITE_EVERY: Duration = Duration::from_millis(125);
/// Longest time that one write may take.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// Pause before another attempt to subscribe.
const SUBSCRIBE_PAUSE: Duration = Duration::from_secs(1);

/// Counts until `term` ends, and writes the last sums then.
pub(crate) async fn count(project: ProjectId, pools: Pools, bus: Bus, term: CancellationToken) {
    let mut sums = Sums::default();
    while !term.is_cancelled() {
        match bus.audiences(&project).await {
            Ok(mut audiences) => {
                let mut tick = interval(WRITE_EVERY);
                tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
                let mut lanes = (0..LANES).cycle();
                loop {
                    tokio::select! {
                        () = term.cancelled() => break,
                        now = tick.tick() => {
                            let due = sums.due(lanes.next().unwrap_or_default(), now);
                            write(&project, &pools, &mut sums, due).await;
                        }
                        audience = audiences.next() => match audience {
                            Some(audience) => sums.add(audience, Instant::now()),
                            None => break,
                        },
                    }
                }
            }
            Err(error) => tracing::warn!(%project, %error, "cannot hear audience counts"),
        }
        term.run_until_cancelled(tokio::time::sleep(SUBSCRIBE_PAUSE))
            .await;
    }
    let rest = sums.all();
    write(&project, &pools, &mut sums, rest).await;
}

/// Writes `due` sums; they stay when that is not possible at the moment.
async fn write(project: &ProjectId, pools: &Pools, sums: &mut Sums, mut due: Vec<(Uuid, i32)>) {
    if due.is_empty() {
        return;
    }
    let Ok(pool) = pools.get(project, LoginRole::Service) else {
        return;
    };
    // Sorted, so that two writers lock rows in the same order.
    due.sort_unstable();
    match tokio::time::timeout(WRITE_TIMEOUT, store::add_audience(&pool, &due)).await {
        Ok(Ok(())) => sums.remove(&due),
        Ok(Err(error)) => tracing::warn!(%project, %error, "audience counts wait"),
        Err(_) => tracing::warn!(%project, "audience counts wait: no answer"),
    }
}
