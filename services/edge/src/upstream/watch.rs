//! The task that keeps a pool's members and their health up to date.
//!
//! Names and health are followed side by side: a resolver that is slow or away delays no check.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::probe::{Finding, probe};
use super::{Member, Pool};

/// Health checks of one pool that run at the same time.
const CONCURRENT_CHECKS: usize = 16;
/// Shortest pause between two rounds, whoever asks for one. Unknown session ids ask, and those
/// anybody can send.
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);
/// Shortest time between two look-ups, whoever asks for one.
const SHORTEST_LOOKUP: Duration = Duration::from_secs(1);
/// Longest wait for a DNS answer.
const LOOKUP_PATIENCE: Duration = Duration::from_secs(5);

/// When to check and to look up.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Schedule {
    /// Time between two rounds of health checks.
    pub(crate) check: Duration,
    /// Time between two look-ups of names.
    pub(crate) resolve: Duration,
}

/// Looks names up and checks members until the shutdown.
pub(crate) async fn watch(pool: Arc<Pool>, schedule: Schedule, shutdown: CancellationToken) {
    tokio::select! {
        () = follow_names(&pool, schedule.resolve) => {}
        () = follow_health(&pool, schedule.check) => {}
        () = shutdown.cancelled() => {}
    }
}

/// Who is away is often replaced under another address: then names are looked up sooner.
async fn follow_names(pool: &Pool, usual: Duration) {
    loop {
        let begun = Instant::now();
        if look_up(pool).await {
            pool.check_now.notify_one();
        }
        tokio::time::sleep_until(begun + SHORTEST_LOOKUP).await;
        tokio::select! {
            () = pool.look_up_now.notified() => {}
            () = tokio::time::sleep_until(begun + usual) => {}
        }
    }
}

async fn follow_health(pool: &Pool, usual: Duration) {
    loop {
        check_all(pool).await;
        pool.rounds.send_modify(|round| *round += 1);
        tell_census(pool);
        let all_ready = all_ready(pool);
        if !all_ready {
            pool.look_up_now.notify_one();
        }
        tokio::time::sleep(SHORTEST_PAUSE).await;
        // Who is away is looked after more often, so that its return is noticed soon.
        let pause = if all_ready { usual } else { usual / 4 };
        tokio::select! {
            () = pool.check_now.notified() => {}
            () = tokio::time::sleep(pause.saturating_sub(SHORTEST_PAUSE)) => {}
        }
    }
}

fn tell_census(pool: &Pool) {
    let (ready, known) = pool.census();
    let gauge = |name, count: usize| {
        metrics::gauge!(name, "service" => pool.name)
            .set(f64::from(u32::try_from(count).unwrap_or(u32::MAX)));
    };
    gauge("edge_upstreams_ready", ready);
    gauge("edge_upstreams_known", known);
}

fn all_ready(pool: &Pool) -> bool {
    let (ready, known) = pool.census();
    known > 0 && ready == known
}

async fn check_all(pool: &Pool) {
    let members = pool.members.load_full();
    futures::stream::iter(members.iter())
        .for_each_concurrent(CONCURRENT_CHECKS, |member| check(member))
        .await;
}

async fn check(member: &Member) {
    match probe(member.address).await {
        Finding::Answer { ready, node } => member.answered(ready, node),
        Finding::Refused => member.refused(),
        Finding::Silence => member.kept_silent(),
    };
}

/// Looks all targets up; whether that changed the pool. While a name cannot be looked up nobody is
/// taken out of the pool: its members are more likely there than not.
pub(crate) async fn look_up(pool: &Pool) -> bool {
    let mut addresses: Vec<SocketAddr> = Vec::new();
    let mut complete = true;
    for target in &pool.targets {
        let answer = tokio::time::timeout(LOOKUP_PATIENCE, tokio::net::lookup_host(target)).await;
        match answer {
            Ok(Ok(found)) => addresses.extend(found),
            Ok(Err(error)) => {
                complete = false;
                tracing::warn!(upstream = pool.name, %target, %error, "cannot look up an upstream");
            }
            Err(_) => {
                complete = false;
                tracing::warn!(upstream = pool.name, %target, "the look-up of an upstream timed out");
            }
        }
    }
    if !complete {
        let members = pool.members.load();
        addresses.extend(members.iter().map(|member| member.address));
    }
    let mut seen = HashSet::new();
    addresses.retain(|address| seen.insert(*address));
    pool.set_addresses(&addresses)
}
