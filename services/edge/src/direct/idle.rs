//! Connections to services that wait for their next request.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::connection::Connection;
use crate::upstream::Purpose;

/// Idle connections are closed after so long, so that a request is not sent into a closing one:
/// services close theirs after 30 s.
const LONGEST: Duration = Duration::from_secs(15);
/// Time between two looks for those that nobody has asked for.
const SWEEP: Duration = Duration::from_secs(5);

/// Where a connection leads and what it is for.
pub(super) type Destination = (SocketAddr, Purpose);

/// The idle connections of one thread.
#[derive(Debug)]
pub(crate) struct IdleConnections {
    most: usize,
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    count: usize,
    /// The latest last.
    by_destination: HashMap<Destination, Vec<Idle>>,
}

#[derive(Debug)]
struct Idle {
    connection: Connection,
    since: Instant,
}

impl IdleConnections {
    /// At most so many.
    pub(crate) fn new(most: usize) -> Self {
        Self {
            most,
            waiting: Mutex::default(),
        }
    }

    /// The one that was used last and is still open.
    pub(super) fn take(&self, to: Destination) -> Option<Connection> {
        loop {
            let mut idle = self.lock().pop(to)?;
            if idle.since.elapsed() < LONGEST && idle.connection.is_idle() {
                return Some(idle.connection);
            }
        }
    }

    /// Keeps a connection, if there is room and nothing is under way on it.
    pub(super) fn put(&self, to: Destination, mut connection: Connection) {
        if !connection.is_idle() {
            return;
        }
        connection.rest();
        let idle = Idle {
            connection,
            since: Instant::now(),
        };
        let mut waiting = self.lock();
        if waiting.count < self.most {
            waiting.count += 1;
            waiting.by_destination.entry(to).or_default().push(idle);
        }
    }

    /// Closes those that have waited for too long.
    fn sweep(&self) {
        let mut waiting = self.lock();
        let mut left = 0;
        waiting.by_destination.retain(|_, connections| {
            connections.retain(|idle| idle.since.elapsed() < LONGEST);
            left += connections.len();
            !connections.is_empty()
        });
        waiting.count = left;
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Nothing in a locked section can leave the count wrong.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn pop(&mut self, to: Destination) -> Option<Idle> {
        let idle = self.by_destination.get_mut(&to)?.pop()?;
        self.count -= 1;
        Some(idle)
    }
}

/// Closes what has waited for too long, until `stop`.
pub(crate) async fn sweep(threads: Vec<Arc<IdleConnections>>, stop: CancellationToken) {
    let sweeping = async {
        loop {
            tokio::time::sleep(SWEEP).await;
            for connections in &threads {
                connections.sweep();
            }
        }
    };
    stop.run_until_cancelled(sweeping).await;
}
