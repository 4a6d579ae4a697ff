//! Users who were deleted: their sockets are closed, and do not come back with a token that has yet
//! to expire.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use ingot_bus::UsersDeleted;
use ingot_project::ProjectId;
use tokio::time::{Instant, sleep};

use crate::node::Node;
use crate::rooms::RoomName;

/// How long a deleted user is remembered: longer than an access token lives.
const MEMORY: Duration = Duration::from_hours(1);
/// Most users that are remembered; the oldest are forgotten first.
const MOST: usize = 100_000;
/// Pause before another attempt to subscribe.
const SUBSCRIBE_PAUSE: Duration = Duration::from_secs(1);

/// Users who were deleted a short while ago.
#[derive(Debug, Default)]
pub(crate) struct Deleted(Mutex<Memory>);

#[derive(Debug, Default)]
struct Memory {
    users: HashMap<(ProjectId, String), Instant>,
    /// In the order of their deletion.
    order: VecDeque<(ProjectId, String)>,
}

impl Deleted {
    /// Whether a user was deleted a short while ago.
    pub(crate) fn has(&self, project: &ProjectId, user: &str) -> bool {
        let memory = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let deleted = memory.users.get(&(project.clone(), user.to_owned()));
        deleted.is_some_and(|deleted| deleted.elapsed() < MEMORY)
    }

    fn add(&self, project: &ProjectId, user: &str) {
        let mut memory = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (project.clone(), user.to_owned());
        if memory.users.insert(key.clone(), Instant::now()).is_none() {
            memory.order.push_back(key);
        }
        while memory.order.len() > MOST {
            if let Some(oldest) = memory.order.pop_front() {
                memory.users.remove(&oldest);
            }
        }
    }
}

/// Closes the sockets of users who are deleted, until the node stops.
pub(crate) async fn watch(node: Arc<Node>) {
    let stopping = node.draining().clone();
    let watching = async {
        loop {
            match node.bus.deleted_users().await {
                Ok(mut news) => {
                    while let Some(deleted) = news.next().await {
                        close_sockets(&node, &deleted);
                    }
                }
                Err(error) => tracing::warn!(%error, "cannot hear which users are deleted"),
            }
            sleep(SUBSCRIBE_PAUSE).await;
        }
    };
    stopping.run_until_cancelled(watching).await;
}

fn close_sockets(node: &Node, deleted: &UsersDeleted) {
    let Ok(project) = deleted.project.parse::<ProjectId>() else {
        return;
    };
    for user in &deleted.users {
        let user = user.to_string();
        node.deleted.add(&project, &user);
        if let Some(room) = node.rooms.find(&project, RoomName::User(user)) {
            room.disconnect_all("deleted");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_was_deleted_is_remembered_for_a_while() {
        let deleted = Deleted::default();
        let project: ProjectId = "default".parse().unwrap();
        deleted.add(&project, "a");
        deleted.add(&project, "a");
        assert!(deleted.has(&project, "a") && !deleted.has(&project, "b"));
        assert!(!deleted.has(&"other".parse().unwrap(), "a"));
        tokio::time::advance(MEMORY).await;
        assert!(!deleted.has(&project, "a"));
        for number in 0..=MOST {
            deleted.add(&project, &number.to_string());
        }
        assert!(!deleted.has(&project, "0") && deleted.has(&project, "1"));
    }
}
