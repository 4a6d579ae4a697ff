//! When webhooks are sent, and what comes of them. The active relay does it; claims see to it that
//! two that both believe to be active send nothing twice.

use std::sync::Arc;
use std::time::Duration;

use ingot_config::Secret;
use ingot_project::{LoginRole, Pools, Project};
use sqlx::PgPool;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::sender::{Outcome, Sender};
use super::store::{self, Claimed};

/// Addresses that are sent to at the same time.
const PARALLEL: usize = 32;
/// Attempts, and the pauses between them (contract, realtime §13).
const ATTEMPTS: i32 = 3;
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(2)];
/// How often to look without having been told of messages.
const POLL: Duration = Duration::from_secs(2);
/// How much longer than an attempt a claim holds.
const CLAIM_MARGIN: Duration = Duration::from_secs(20);
/// Longest time that one statement may take.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(10);
/// How often the outcome of an attempt is noted again when the database does not answer.
const NOTE_ATTEMPTS: u32 = 5;
/// How long attempts under way may take at the end of a term.
const LAST_ATTEMPTS: Duration = Duration::from_secs(4);

/// Sends a project's webhooks until `term` ends. `news` says that there are messages.
pub(crate) async fn send(
    project: Arc<Project>,
    pools: Pools,
    sender: Sender,
    longest_attempt: Duration,
    news: Arc<Notify>,
    term: CancellationToken,
) {
    let Ok(pool) = pools.get(&project.id, LoginRole::Service) else {
        return;
    };
    let work = Work {
        pool,
        sender,
        secret: project.webhook_secret(),
        project: project.id.to_string(),
    };
    let lease = longest_attempt + CLAIM_MARGIN;
    let mut running = JoinSet::new();
    let sending = async {
        loop {
            let free = PARALLEL.saturating_sub(running.len());
            for claimed in work.claim(free, lease).await {
                running.spawn(work.clone().deliver(claimed));
            }
            tokio::select! {
                Some(_) = running.join_next() => {}
                () = news.notified() => {}
                () = sleep(POLL) => {}
            }
        }
    };
    term.run_until_cancelled(sending).await;
    let ending = async { while running.join_next().await.is_some() {} };
    if timeout(LAST_ATTEMPTS, ending).await.is_err() {
        tracing::warn!(project = %project.id, "webhooks under way are sent again by the next relay");
    }
}

#[derive(Clone)]
struct Work {
    pool: PgPool,
    sender: Sender,
    secret: Secret,
    project: String,
}

impl Work {
    async fn claim(&self, free: usize, lease: Duration) -> Vec<Claimed> {
        let free = i64::try_from(free).unwrap_or(i64::MAX);
        if free == 0 {
            return Vec::new();
        }
        match timeout(STATEMENT_TIMEOUT, store::claim(&self.pool, free, lease)).await {
            Ok(Ok(claimed)) => claimed,
            Ok(Err(error)) => {
                tracing::debug!(project = self.project, %error, "webhooks wait");
                Vec::new()
            }
            Err(_elapsed) => Vec::new(),
        }
    }

    /// One attempt, and after a pause the next one, for nobody may overtake this message.
    async fn deliver(self, delivery: Claimed) {
        let outcome = self.sender.attempt(&delivery, &self.secret).await;
        let name = match &outcome {
            Outcome::Delivered => "delivered",
            Outcome::Refused { .. } => "refused",
            Outcome::Unreachable(_) => "unreachable",
        };
        metrics::counter!(
            "realtime_webhooks_total", "project" => self.project.clone(), "outcome" => name
        )
        .increment(1);
        for _ in 0..NOTE_ATTEMPTS {
            match timeout(STATEMENT_TIMEOUT, self.note(&delivery, &outcome)).await {
                Ok(Ok(())) => break,
                Ok(Err(error)) => {
                    tracing::warn!(project = self.project, %error, "a webhook's outcome waits");
                }
                Err(_elapsed) => {}
            }
            sleep(Duration::from_secs(1)).await;
        }
        if let Some(pause) = pause_after(&delivery, &outcome) {
            sleep(pause).await;
        }
    }

    async fn note(&self, delivery: &Claimed, outcome: &Outcome) -> Result<(), sqlx::Error> {
        let id = delivery.id;
        match outcome {
            Outcome::Delivered => store::delivered(&self.pool, id).await,
            Outcome::Refused { status, error } => {
                store::failed(&self.pool, id, *status, error).await
            }
            Outcome::Unreachable(error) => match pause_after(delivery, outcome) {
                Some(pause) => store::wait(&self.pool, id, pause, error).await,
                None => store::failed(&self.pool, id, None, error).await,
            },
        }
    }
}

/// How long to wait for the next attempt, if there is one.
fn pause_after(delivery: &Claimed, outcome: &Outcome) -> Option<Duration> {
    if !matches!(outcome, Outcome::Unreachable(_)) || delivery.attempts >= ATTEMPTS {
        return None;
    }
    let earlier = usize::try_from(delivery.attempts).unwrap_or_default();
    PAUSES.get(earlier.saturating_sub(1)).copied()
}
