//! What all sockets of this process share, and how it ends.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dashmap::DashMap;
use engineioxide::socket::Sid;
use http::{HeaderName, HeaderValue};
use ingot_bus::Bus;
use ingot_http::{Check, Health, header};
use ingot_identity::Authenticator;
use ingot_project::{LoginRole, Pools};
use rand::Rng;
use rand::distr::Alphanumeric;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::RealtimeSettings;
use crate::accounts::{self, Deleted};
use crate::audience::Counts;
use crate::channels::{self, Permissions};
use crate::presence::{Peers, keep_company, say_bye};
use crate::rooms::{Meta, Rooms, with_meta};
use crate::session::{Frame, Session, event_frame};

/// Pause between two batches of sockets that are closed at a stop: their clients come back to the
/// other nodes, and should not all come at the same moment.
const CLOSING_PAUSE: Duration = Duration::from_millis(20);
/// Sockets that a stop may close in a second when it need not be faster.
const CLOSED_PER_SECOND: f64 = 200.0;
/// Connections for users that stay open while nobody asks anything.
const KEPT_CONNECTIONS: u32 = 2;
/// Between good-bye and closing: a polling client fetches the one before the other.
const FAREWELL: Duration = Duration::from_millis(500);
/// How long tasks may take to end after their sockets are closed.
const LAST_TASKS: Duration = Duration::from_secs(5);

/// Name of a node: 8 random characters of `[A-Za-z0-9]`. Session ids start with it, so that every
/// edge finds the node without asking anybody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NodeId(String);

impl NodeId {
    /// Characters of a node id.
    pub(crate) const LENGTH: usize = 8;

    fn random() -> Self {
        Self(random_text(Self::LENGTH))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    #[cfg(test)]
    pub(crate) fn of(text: &str) -> Self {
        Self(text.to_owned())
    }
}

/// Random characters of `[A-Za-z0-9]`.
pub(crate) fn random_text(length: usize) -> String {
    rand::rng()
        .sample_iter(Alphanumeric)
        .take(length)
        .map(char::from)
        .collect()
}

/// This process as a Socket.IO node.
pub(crate) struct Node {
    pub(crate) id: NodeId,
    pub(crate) bus: Bus,
    pub(crate) pools: Pools,
    pub(crate) authenticator: Authenticator,
    pub(crate) settings: RealtimeSettings,
    pub(crate) rooms: Rooms,
    pub(crate) counts: Counts,
    /// Every Engine.IO session, also before it joined the namespace.
    pub(crate) sockets: DashMap<Sid, Session>,
    /// Conversations and feeds; all of them end when the sockets are gone.
    pub(crate) tasks: TaskTracker,
    /// Not ready any more.
    stopping: AtomicBool,
    /// What other nodes say.
    pub(crate) peers: Peers,
    /// Who may subscribe.
    pub(crate) permissions: Permissions,
    /// Users who may not come back.
    pub(crate) deleted: Deleted,
    /// Cancelled when it takes no new sockets any more.
    draining: CancellationToken,
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl Node {
    /// A node without sockets, and its task that knows the other nodes.
    pub(crate) fn start(
        bus: Bus,
        pools: Pools,
        settings: RealtimeSettings,
        shutdown: &CancellationToken,
    ) -> Arc<Self> {
        let authenticator = Authenticator::new(pools.clone());
        authenticator.watch(&bus, shutdown);
        let id = NodeId::random();
        let (peers, letters) = Peers::new(id.as_str());
        let node = Arc::new(Self {
            id,
            bus,
            pools,
            authenticator,
            settings,
            rooms: Rooms::default(),
            counts: Counts::default(),
            sockets: DashMap::new(),
            tasks: TaskTracker::new(),
            stopping: AtomicBool::new(false),
            peers,
            permissions: Permissions::default(),
            deleted: Deleted::default(),
            draining: CancellationToken::new(),
        });
        let company = keep_company(Arc::clone(&node), letters);
        node.tasks.spawn(company);
        node.tasks.spawn(accounts::watch(Arc::clone(&node)));
        node.tasks.spawn(channels::watch(Arc::clone(&node)));
        tracing::info!(node = node.id.as_str(), "this node's name");
        node
    }

    /// Whether new sockets should go to another node.
    pub(crate) fn is_draining(&self) -> bool {
        self.draining.is_cancelled()
    }

    /// Cancelled when new sockets should go to another node.
    pub(crate) fn draining(&self) -> &CancellationToken {
        &self.draining
    }

    /// Reports audiences and sweeps rooms until `shutdown`. Then, after `delay`, refuses new sockets, says good-bye to
    /// all others, closes their transports (never the namespace: clients would not come back) and
    /// waits for the tasks.
    pub(crate) async fn close_on(self: Arc<Self>, shutdown: CancellationToken, delay: Duration) {
        let reporting = self.counts.report_for_ever(&self.bus);
        let sweeping = self.rooms.sweep_for_ever();
        shutdown
            .run_until_cancelled(async { tokio::join!(reporting, sweeping) })
            .await;
        self.stopping.store(true, Ordering::Release);
        tokio::time::sleep(delay).await;
        self.draining.cancel();
        say_bye(&self).await;
        let sockets: Vec<Session> = self
            .sockets
            .iter()
            .map(|socket| socket.value().clone())
            .collect();
        let farewell = farewell();
        for socket in sockets.iter().filter(|socket| socket.link.is_joined()) {
            socket.offer(&farewell);
        }
        if !sockets.is_empty() {
            tokio::time::sleep(FAREWELL).await;
        }
        for batch in sockets.chunks(closing_batch(sockets.len(), self.settings.drain_window.0)) {
            for socket in batch {
                socket.close();
            }
            tokio::time::sleep(CLOSING_PAUSE).await;
        }
        self.tasks.close();
        if tokio::time::timeout(LAST_TASKS, self.tasks.wait())
            .await
            .is_err()
        {
            tracing::warn!(
                tasks = self.tasks.len(),
                "conversations still under way at the stop"
            );
        }
        self.counts.report(&self.bus).await;
    }

    /// Ready while the bus is there and, with a single project, its database has the schema. With
    /// many, one project's database says nothing about the others.
    pub(crate) fn health(self: &Arc<Self>) -> anyhow::Result<Health> {
        let bus = self.bus.clone();
        let nats: Check = Box::new(move || {
            let connected = bus.is_connected();
            Box::pin(async move { connected.then_some(()).ok_or("not connected".to_owned()) })
        });
        let node = Arc::clone(self);
        let stop: Check = Box::new(move || {
            let stopping = node.stopping.load(Ordering::Acquire);
            Box::pin(async move { (!stopping).then_some(()).ok_or("the node stops".to_owned()) })
        });
        let mut checks = vec![("nats", nats), ("stop", stop)];
        let mut projects = self.pools.registry().iter();
        if let (Some(project), None) = (projects.next(), projects.next()) {
            let pool = self.pools.get(&project.id, LoginRole::Service)?;
            let users = self.pools.get(&project.id, LoginRole::Authenticator)?;
            let warm = Arc::new(AtomicBool::new(false));
            let database: Check = Box::new(move || {
                let (pool, users, warm) = (pool.clone(), users.clone(), Arc::clone(&warm));
                Box::pin(async move {
                    let check = ingot_schema::check_current(&pool).await;
                    check.map_err(|error| error.to_string())?;
                    // Its first clients often come all at once, from a node that stops. Later on
                    // these connections may all be in use, which is no reason not to be ready.
                    if !warm.load(Ordering::Relaxed) {
                        let users = users.acquire().await;
                        users.map_err(|error| error.to_string())?;
                        warm.store(true, Ordering::Relaxed);
                    } else if users.size() <= KEPT_CONNECTIONS {
                        // Used now and then, they are not closed for being idle.
                        drop(users.try_acquire());
                    }
                    Ok(())
                })
            });
            checks.push(("database", database));
        }
        let name = HeaderName::from_static(header::NODE);
        let id = HeaderValue::from_str(self.id.as_str())?;
        Ok(Health::new(checks).with_header(name, id))
    }
}

/// How many of so many sockets are closed at once, so that all are within the window.
#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a number of sockets that a process can have"
)]
fn closing_batch(sockets: usize, window: Duration) -> usize {
    let pause = CLOSING_PAUSE.as_secs_f64();
    let least = sockets as f64 * pause / window.as_secs_f64().max(pause);
    least.max(CLOSED_PER_SECOND * pause).ceil() as usize
}

/// What every client is told at a stop (contract, realtime §9).
fn farewell() -> Frame {
    const BODY: &str =
        r#"{"level":"warning","title":"Server Shutdown","message":"Server is shutting down"}"#;
    event_frame("notification", &with_meta(BODY, &Meta::system(None)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_sockets_close_at_their_pace_and_many_within_the_window() {
        let window = Duration::from_secs(5);
        assert_eq!(closing_batch(10, window), 4);
        assert_eq!(closing_batch(1_000, window), 4);
        assert_eq!(closing_batch(10_000, window), 40);
        assert_eq!(closing_batch(100, Duration::ZERO), 100);
    }
}
