//! Who may subscribe, remembered for a moment where the answer is the same for a whole role.
//!
//! Without row-level security that is so. With policies, what a caller sees can depend on anything
//! that they look at: PostgreSQL is asked every time then.

use std::sync::Arc;
use std::time::Duration;

use dashmap::DashMap;
use futures::StreamExt;
use futures::future::join_all;
use ingot_bus::Invalidation;
use ingot_identity::Identity;
use ingot_project::{Pools, ProjectId};
use moka::future::Cache;
use tokio::sync::Semaphore;

use super::store::{self, StoreError};
use crate::node::Node;

/// How long an answer counts. Changes of channels and policies end it at once; this is for when
/// nobody can tell of them.
const MEMORY: Duration = Duration::from_secs(5);
/// Most answers that are remembered.
const MOST: u64 = 50_000;
/// Questions that are asked at the same time. When many come back at once, more would open further
/// connections, which takes longer than the questions do.
const ASKED_AT_ONCE: usize = 5;
/// Pause before another attempt to subscribe.
const SUBSCRIBE_PAUSE: Duration = Duration::from_secs(1);

/// What an answer is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Question {
    project: ProjectId,
    /// How often channels or policies had changed when it was asked.
    changes: u64,
    role: String,
    channel: String,
}

/// The answers.
#[derive(Debug)]
pub(crate) struct Permissions {
    /// `None` where policies decide.
    answers: Cache<Question, Option<bool>>,
    asking: Semaphore,
    changes: DashMap<ProjectId, u64>,
}

impl Default for Permissions {
    fn default() -> Self {
        let answers = Cache::builder().max_capacity(MOST).time_to_live(MEMORY);
        Self {
            answers: answers.build(),
            asking: Semaphore::new(ASKED_AT_ONCE),
            changes: DashMap::new(),
        }
    }
}

impl Permissions {
    /// Whether the caller sees an enabled channel that fits the name.
    pub(super) async fn may_subscribe(
        &self,
        pools: &Pools,
        project: &ProjectId,
        identity: &Identity,
        channel: &str,
    ) -> Result<bool, StoreError> {
        let question = Question {
            project: project.clone(),
            changes: self.changes.get(project).map_or(0, |changes| *changes),
            role: identity.role.as_str().to_owned(),
            channel: channel.to_owned(),
        };
        let ask = async {
            // It is never closed.
            let _turn = self.asking.acquire().await.ok();
            let answer = store::may_subscribe(pools, project, identity, channel).await?;
            Ok::<_, StoreError>((!answer.by_policy).then_some(answer.visible))
        };
        // Thousands who come at the same moment ask once.
        match Box::pin(self.answers.try_get_with(question, ask)).await {
            Ok(Some(visible)) => Ok(visible),
            Ok(None) => {
                let answer = store::may_subscribe(pools, project, identity, channel).await?;
                Ok(answer.visible)
            }
            Err(error) => Err(StoreError::Unavailable(error.to_string())),
        }
    }

    /// Channels or policies of a project changed.
    fn forget(&self, project: &ProjectId) {
        *self.changes.entry(project.clone()).or_insert(0) += 1;
    }
}

/// Forgets what changed, in all projects, until the node stops.
pub(crate) async fn watch(node: Arc<Node>) {
    let stopping = node.draining().clone();
    let projects = node.pools.registry().iter();
    let watching = join_all(projects.map(|project| forget_on_change(&node, &project.id)));
    stopping.run_until_cancelled(watching).await;
}

async fn forget_on_change(node: &Node, project: &ProjectId) {
    loop {
        match node.bus.invalidations(project).await {
            Ok(mut changes) => {
                // What changed before this was heard of by nobody here.
                node.permissions.forget(project);
                while let Some(change) = changes.next().await {
                    if matches!(change, Invalidation::Channels | Invalidation::Schema) {
                        node.permissions.forget(project);
                    }
                }
            }
            Err(error) => tracing::warn!(%project, %error, "cannot hear of changed channels"),
        }
        tokio::time::sleep(SUBSCRIBE_PAUSE).await;
    }
}
