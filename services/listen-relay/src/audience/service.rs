//! Summing the nodes' counts. Only the active relay does it, so that each count is written once.

use std::collections::HashMap;
use std::time::Duration;

use futures::StreamExt;
use ingot_bus::{Audience, Bus};
use ingot_project::{LoginRole, Pools, ProjectId};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::store;

/// How often sums are written.
const WRITE_EVERY: Duration = Duration::from_secs(1);
/// Longest time that one write may take.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// Messages whose counts wait while the database is away; further ones are dropped, for these are
/// statistics.
const MAX_WAITING: usize = 50_000;
/// Pause before another attempt to subscribe.
const SUBSCRIBE_PAUSE: Duration = Duration::from_secs(1);

/// Counts until `term` ends, and writes the last sums then.
pub(crate) async fn count(project: ProjectId, pools: Pools, bus: Bus, term: CancellationToken) {
    let mut waiting = HashMap::new();
    while !term.is_cancelled() {
        match bus.audiences(&project).await {
            Ok(mut audiences) => {
                let mut tick = interval(WRITE_EVERY);
                tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
                loop {
                    tokio::select! {
                        () = term.cancelled() => break,
                        _ = tick.tick() => write(&project, &pools, &mut waiting).await,
                        audience = audiences.next() => match audience {
                            Some(audience) => add(&mut waiting, audience),
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
    write(&project, &pools, &mut waiting).await;
}

fn add(waiting: &mut HashMap<Uuid, i32>, audience: Audience) {
    for (message, sockets) in audience.counts {
        if waiting.len() >= MAX_WAITING && !waiting.contains_key(&message) {
            metrics::counter!("realtime_relay_audience_dropped_total").increment(1);
            continue;
        }
        let sum = waiting.entry(message).or_insert(0);
        *sum = sum.saturating_add(i32::try_from(sockets).unwrap_or(i32::MAX));
    }
}

async fn write(project: &ProjectId, pools: &Pools, waiting: &mut HashMap<Uuid, i32>) {
    if waiting.is_empty() {
        return;
    }
    let Ok(pool) = pools.get(project, LoginRole::Service) else {
        return;
    };
    // Sorted, so that two writers lock rows in the same order.
    let mut sums: Vec<(Uuid, i32)> = waiting.iter().map(|(id, sum)| (*id, *sum)).collect();
    sums.sort_unstable();
    match tokio::time::timeout(WRITE_TIMEOUT, store::add_audience(&pool, &sums)).await {
        Ok(Ok(())) => waiting.clear(),
        Ok(Err(error)) => tracing::warn!(%project, %error, "audience counts wait"),
        Err(_) => tracing::warn!(%project, "audience counts wait: no answer"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_of_nodes_add_up() {
        let message = Uuid::new_v4();
        let mut waiting = HashMap::new();
        for sockets in [2, 3] {
            add(
                &mut waiting,
                Audience {
                    counts: vec![(message, sockets)],
                },
            );
        }
        assert_eq!(waiting.get(&message), Some(&5));
    }
}
