//! Notices members that stand still while their connections stay open, as a paused process or a
//! machine that swaps: streams through them would wait for as long as that lasts.
//!
//! A busy machine makes everybody slow, and ending streams then would make it worse. So a member
//! is given up only when it lets two questions go by while another one, to whom its clients can
//! go, answers.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use tokio_util::sync::CancellationToken;

use super::probe::is_awake;
use super::{Health, Member, Pool};

/// Pause between two looks.
const PAUSE: Duration = Duration::from_millis(300);
/// How long a member may take for an answer, at the first look and at the second.
const FIRST: Duration = Duration::from_millis(800);
const SECOND: Duration = Duration::from_millis(500);

/// Gives up members that stand still, until the shutdown.
pub(crate) async fn feel(pool: Arc<Pool>, shutdown: CancellationToken) {
    let feeling = async {
        loop {
            tokio::time::sleep(PAUSE).await;
            look(&pool).await;
        }
    };
    shutdown.run_until_cancelled(feeling).await;
}

async fn look(pool: &Pool) {
    let members = pool.members.load_full();
    let up: Vec<&Arc<Member>> = members
        .iter()
        .filter(|member| member.health() != Health::Down)
        .collect();
    // Without another one there is nowhere to go.
    if up.len() < 2 || answers(&up, FIRST).await.iter().all(|awake| *awake) {
        return;
    }
    let awake = answers(&up, SECOND).await;
    let elsewhere = up
        .iter()
        .zip(&awake)
        .any(|(member, awake)| *awake && member.health() == Health::Ready);
    for (member, awake) in up.iter().zip(awake) {
        if !awake && elsewhere && member.give_up() {
            metrics::counter!("edge_upstreams_given_up_total", "service" => pool.name).increment(1);
            tracing::warn!(address = %member.address, "an upstream stands still: its streams end");
        }
    }
}

async fn answers(members: &[&Arc<Member>], patience: Duration) -> Vec<bool> {
    join_all(
        members
            .iter()
            .map(|member| is_awake(member.address, patience)),
    )
    .await
}
