//! One process that answers for a service: its address, what is known of its health, its load.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use pingora::protocols::TcpKeepalive;
use pingora::upstreams::peer::HttpPeer;
use tokio_util::sync::CancellationToken;

use crate::session::NodeId;

/// Failures in a row after which a member is left alone for [`EJECTION`], whatever its health
/// answers say.
const FAILURES_TO_EJECTION: u32 = 5;
/// How long a member that fails requests is left alone.
const EJECTION: Duration = Duration::from_secs(5);
/// Unanswered health checks in a row after which a member counts as gone. One lost check is
/// often nothing but a busy machine.
const SILENCES_TO_DOWN: u32 = 3;

/// What is known of a member, worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Health {
    /// Does not take connections.
    Down,
    /// Takes connections; not ready, or not checked yet. Better than nobody: it can at least
    /// explain what it is waiting for.
    Alive,
    /// Says that it is ready.
    Ready,
}

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Purpose {
    /// Requests whose bodies are bounded.
    Request,
    /// Requests whose bodies may be of any size: a service may leave one lying for long.
    Streaming,
}

impl Purpose {
    /// A machine that disappears says nothing, and TCP alone would wait for minutes. What an
    /// acknowledgement from the other side's kernel tells apart from this is a service that is
    /// merely busy.
    pub(crate) fn keepalive(self) -> TcpKeepalive {
        TcpKeepalive {
            idle: Duration::from_secs(4),
            interval: Duration::from_secs(1),
            count: 4,
            // Of data that nobody acknowledges, or takes. None: as the system does.
            user_timeout: match self {
                Self::Request => Duration::from_secs(15),
                Self::Streaming => Duration::ZERO,
            },
        }
    }
}

/// How connections to members are made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timeouts {
    /// For the connection to be made.
    pub(crate) connect: Duration,
    /// For the next byte of an answer, and for the next byte of a request to be taken.
    pub(crate) silence: Duration,
}

/// One process behind the edge.
#[derive(Debug)]
pub(crate) struct Member {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// How connections are made to it.
    pub(crate) timeouts: Timeouts,
    peer: HttpPeer,
    health: AtomicU8,
    silences: AtomicU32,
    failures: AtomicU32,
    ejected_until: AtomicU64,
    load: AtomicU32,
    node: AtomicU64,
    since: Instant,
    /// Cancelled, and replaced, when the streams to it should be made anew elsewhere.
    given_up: Mutex<CancellationToken>,
}

impl Member {
    /// A member nothing is known of yet.
    pub(crate) fn new(address: SocketAddr, timeouts: Timeouts) -> Self {
        let mut peer = HttpPeer::new(address, false, String::new());
        peer.options.connection_timeout = Some(timeouts.connect);
        peer.options.total_connection_timeout = Some(timeouts.connect);
        peer.options.read_timeout = Some(timeouts.silence);
        peer.options.write_timeout = Some(timeouts.silence);
        // Below the 30 s after which the services close idle connections themselves, so that a
        // request is not sent into a closing one.
        peer.options.idle_timeout = Some(Duration::from_secs(15));
        Self {
            address,
            timeouts,
            peer,
            health: AtomicU8::new(Health::Alive as u8),
            silences: AtomicU32::new(0),
            failures: AtomicU32::new(0),
            ejected_until: AtomicU64::new(0),
            load: AtomicU32::new(0),
            node: AtomicU64::new(0),
            since: Instant::now(),
            given_up: Mutex::default(),
        }
    }

    /// How to connect. Connections of one purpose are not used for another.
    pub(crate) fn peer(&self, purpose: Purpose) -> Box<HttpPeer> {
        let mut peer = Box::new(self.peer.clone());
        peer.group_key = purpose as u64;
        peer.options.tcp_keepalive = Some(purpose.keepalive());
        peer
    }

    /// Its health for choosing: an ejected member counts as merely alive.
    pub(crate) fn health(&self) -> Health {
        match self.health.load(Ordering::Relaxed) {
            READY if self.is_ejected() => Health::Alive,
            READY => Health::Ready,
            ALIVE => Health::Alive,
            _ => Health::Down,
        }
    }

    /// Requests that it is working on for this edge.
    pub(crate) fn load(&self) -> u32 {
        self.load.load(Ordering::Relaxed)
    }

    /// Whether it is the realtime node of that name.
    pub(crate) fn is_node(&self, node: NodeId) -> bool {
        self.node.load(Ordering::Relaxed) == node.to_bits()
    }

    /// It answered a health check.
    pub(crate) fn answered(&self, ready: bool, node: Option<NodeId>) -> bool {
        self.silences.store(0, Ordering::Relaxed);
        self.node
            .store(node.map_or(0, NodeId::to_bits), Ordering::Relaxed);
        self.becomes(if ready { Health::Ready } else { Health::Alive })
    }

    /// It did not answer a health check in time.
    pub(crate) fn kept_silent(&self) -> bool {
        let silences = self.silences.fetch_add(1, Ordering::Relaxed) + 1;
        silences >= SILENCES_TO_DOWN && self.becomes(Health::Down)
    }

    /// It refuses connections. Believed at once: the next health check puts it back.
    pub(crate) fn refused(&self) -> bool {
        self.becomes(Health::Down)
    }

    /// It stands still: streams to it end, so that their clients find another member.
    pub(crate) fn give_up(&self) -> bool {
        let changed = self.becomes(Health::Down);
        let mut given_up = self.lock();
        std::mem::take(&mut *given_up).cancel();
        changed
    }

    /// Cancelled when a stream that begins now should end.
    pub(crate) fn given_up(&self) -> CancellationToken {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, CancellationToken> {
        self.given_up.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request broke off half-way.
    pub(crate) fn failed(&self) {
        if self.failures.fetch_add(1, Ordering::Relaxed) + 1 >= FAILURES_TO_EJECTION {
            self.failures.store(0, Ordering::Relaxed);
            let until = self.now() + millis(EJECTION);
            self.ejected_until.store(until, Ordering::Relaxed);
            tracing::warn!(address = %self.address, "an upstream fails requests: left alone for a while");
        }
    }

    /// A request was answered.
    pub(crate) fn succeeded(&self) {
        if self.failures.load(Ordering::Relaxed) != 0 {
            self.failures.store(0, Ordering::Relaxed);
        }
    }

    /// Notes a state; whether it is a new one.
    fn becomes(&self, health: Health) -> bool {
        let changed = self.health.swap(health as u8, Ordering::Relaxed) != health as u8;
        if changed {
            tracing::info!(address = %self.address, ?health, "an upstream changed");
        }
        changed
    }

    fn is_ejected(&self) -> bool {
        let until = self.ejected_until.load(Ordering::Relaxed);
        until != 0 && self.now() < until
    }

    fn now(&self) -> u64 {
        millis(self.since.elapsed())
    }
}

const READY: u8 = Health::Ready as u8;
const ALIVE: u8 = Health::Alive as u8;

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A request's hold on a member: counts as load while it lasts.
#[derive(Debug)]
pub(crate) struct Lease(Arc<Member>);

impl Lease {
    pub(crate) fn new(member: Arc<Member>) -> Self {
        member.load.fetch_add(1, Ordering::Relaxed);
        Self(member)
    }

    pub(crate) fn member(&self) -> &Arc<Member> {
        &self.0
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.0.load.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member() -> Member {
        let timeouts = Timeouts {
            connect: Duration::from_secs(1),
            silence: Duration::from_secs(1),
        };
        Member::new("127.0.0.1:1".parse().unwrap(), timeouts)
    }

    #[test]
    fn one_lost_check_changes_nothing_but_a_refusal_does() {
        let member = member();
        assert_eq!(member.health(), Health::Alive);
        assert!(member.answered(true, None));
        member.kept_silent();
        member.kept_silent();
        assert_eq!(member.health(), Health::Ready);
        member.kept_silent();
        assert_eq!(member.health(), Health::Down);
        member.answered(true, None);
        assert!(member.refused() && !member.refused());
        assert_eq!(member.health(), Health::Down);
    }

    #[test]
    fn failing_requests_eject_until_they_stop() {
        let member = member();
        member.answered(true, None);
        for _ in 0..FAILURES_TO_EJECTION - 1 {
            member.failed();
        }
        member.succeeded();
        member.failed();
        assert_eq!(member.health(), Health::Ready);
        for _ in 0..FAILURES_TO_EJECTION {
            member.failed();
        }
        assert_eq!(member.health(), Health::Alive);
    }

    #[test]
    fn a_lease_is_load_while_it_lasts() {
        let member = Arc::new(member());
        let lease = Lease::new(Arc::clone(&member));
        assert_eq!(member.load(), 1);
        drop(lease);
        assert_eq!(member.load(), 0);
    }
}
