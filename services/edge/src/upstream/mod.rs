//! The processes behind the edge: who they are, how they are, and which one gets a request.
//!
//! Each service has a [`Pool`]. Its members come from settings (addresses, or DNS names looked up
//! again and again); a task per pool checks their health; choosing one takes no lock.

mod member;
mod probe;
mod pulse;
mod watch;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::{Notify, watch as signal};

pub(crate) use member::{Health, Lease, Member, Purpose, Timeouts};
pub(crate) use pulse::feel;
pub(crate) use watch::{Schedule, look_up, watch};

use crate::session::NodeId;

/// Members that one request may try.
pub(crate) const MAX_TRIES: usize = 3;

/// Longest wait for a round of health checks that a session id of an unknown node asks for.
const LEARNING: Duration = Duration::from_secs(2);

/// The members of one service.
#[derive(Debug)]
pub(crate) struct Pool {
    /// The service's name in logs and answers.
    pub(crate) name: &'static str,
    targets: Vec<String>,
    timeouts: Timeouts,
    members: ArcSwap<Vec<Arc<Member>>>,
    turn: AtomicUsize,
    check_now: Notify,
    look_up_now: Notify,
    rounds: signal::Sender<u64>,
}

/// Members that a request has tried already.
#[derive(Debug, Default)]
pub(crate) struct Tried {
    addresses: [Option<SocketAddr>; MAX_TRIES],
    count: usize,
}

impl Tried {
    /// Notes a member.
    pub(crate) fn add(&mut self, address: SocketAddr) {
        if let Some(slot) = self.addresses.get_mut(self.count) {
            *slot = Some(address);
        }
        self.count += 1;
    }

    /// Whether the request may try another one.
    pub(crate) fn may_go_on(&self) -> bool {
        self.count < MAX_TRIES
    }

    fn contains(&self, address: SocketAddr) -> bool {
        self.count > 0 && self.addresses.contains(&Some(address))
    }
}

impl Pool {
    /// A pool of `targets`, `host:port` each. It has no members before the first look-up.
    pub(crate) fn new(name: &'static str, targets: Vec<String>, timeouts: Timeouts) -> Self {
        Self {
            name,
            targets,
            timeouts,
            members: ArcSwap::default(),
            turn: AtomicUsize::new(0),
            check_now: Notify::new(),
            look_up_now: Notify::new(),
            rounds: signal::Sender::new(0),
        }
    }

    /// The member for a request: of the healthiest the least loaded, in turns where they are
    /// equal; none that was tried. Members that are down are never chosen.
    pub(crate) fn choose(&self, tried: &Tried) -> Option<Lease> {
        let members = self.members.load();
        let start = self.turn.fetch_add(1, Ordering::Relaxed) % members.len().max(1);
        let (before, after) = members.split_at_checked(start)?;
        let mut best: Option<(Health, u32, &Arc<Member>)> = None;
        for member in after.iter().chain(before) {
            let health = member.health();
            if health == Health::Down || tried.contains(member.address) {
                continue;
            }
            let load = member.load();
            if best.is_none_or(|(h, l, _)| health > h || (health == h && load < l)) {
                best = Some((health, load, member));
            }
        }
        best.map(|(_, _, member)| Lease::new(Arc::clone(member)))
    }

    /// The realtime node of that name, unless it is down. A name that no member had at the last
    /// health check (a node that has just started) is worth one more round of checks.
    pub(crate) async fn node(&self, node: NodeId) -> Option<Lease> {
        if let Some(lease) = self.known_node(node) {
            return Some(lease);
        }
        let mut rounds = self.rounds.subscribe();
        self.check_now.notify_one();
        self.look_up_now.notify_one();
        tokio::time::timeout(LEARNING, rounds.changed())
            .await
            .ok()?
            .ok()?;
        self.known_node(node)
    }

    fn known_node(&self, node: NodeId) -> Option<Lease> {
        let members = self.members.load();
        let member = members
            .iter()
            .find(|member| member.is_node(node) && member.health() != Health::Down)?;
        Some(Lease::new(Arc::clone(member)))
    }

    /// A connection to a member could not be made: asks for health checks at once.
    pub(crate) fn refused(&self, member: &Member) {
        if member.refused() {
            self.check_now.notify_one();
        }
    }

    /// Members that are ready, and all of them.
    pub(crate) fn census(&self) -> (usize, usize) {
        let members = self.members.load();
        let ready = members
            .iter()
            .filter(|m| m.health() == Health::Ready)
            .count();
        (ready, members.len())
    }

    /// Takes over what a look-up found; members that stay keep what is known of them. Returns
    /// whether there are others than before.
    fn set_addresses(&self, addresses: &[SocketAddr]) -> bool {
        let known = self.members.load();
        let unchanged = known.len() == addresses.len()
            && known
                .iter()
                .all(|member| addresses.contains(&member.address));
        if unchanged {
            return false;
        }
        let members = addresses
            .iter()
            .map(|address| {
                known
                    .iter()
                    .find(|member| member.address == *address)
                    .map_or_else(
                        || Arc::new(Member::new(*address, self.timeouts)),
                        Arc::clone,
                    )
            })
            .collect();
        tracing::info!(
            upstream = self.name,
            count = addresses.len(),
            "upstream addresses changed"
        );
        self.members.store(Arc::new(members));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(addresses: &[&str]) -> Pool {
        let timeouts = Timeouts {
            connect: Duration::from_secs(1),
            silence: Duration::from_secs(1),
        };
        let pool = Pool::new("api", Vec::new(), timeouts);
        let addresses: Vec<_> = addresses.iter().map(|a| a.parse().unwrap()).collect();
        pool.set_addresses(&addresses);
        pool
    }

    fn members(pool: &Pool) -> Arc<Vec<Arc<Member>>> {
        pool.members.load_full()
    }

    #[test]
    fn equal_members_take_turns_and_load_decides() {
        let pool = pool(&["127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"]);
        let tried = Tried::default();
        let leases: Vec<_> = (0..9).map(|_| pool.choose(&tried).unwrap()).collect();
        assert!(members(&pool).iter().all(|member| member.load() == 3));
        drop(leases);
    }

    #[test]
    fn ready_members_go_first_and_downed_ones_never() {
        let pool = pool(&["127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"]);
        let members = members(&pool);
        members[1].answered(true, None);
        members[2].refused();
        let mut tried = Tried::default();
        let first = pool.choose(&tried).unwrap();
        assert_eq!(first.member().address, members[1].address);
        tried.add(first.member().address);
        let second = pool.choose(&tried).unwrap();
        assert_eq!(second.member().address, members[0].address);
        tried.add(second.member().address);
        assert!(pool.choose(&tried).is_none());
    }

    #[test]
    fn a_look_up_keeps_what_is_known() {
        let pool = pool(&["127.0.0.1:1", "127.0.0.1:2"]);
        members(&pool)[1].answered(true, None);
        pool.set_addresses(&[
            "127.0.0.1:2".parse().unwrap(),
            "127.0.0.1:9".parse().unwrap(),
        ]);
        let now = members(&pool);
        assert_eq!(now[0].health(), Health::Ready);
        assert_eq!(pool.census(), (1, 2));
    }

    #[tokio::test]
    async fn an_empty_pool_has_nobody() {
        let pool = pool(&[]);
        assert!(pool.choose(&Tried::default()).is_none());
        assert!(
            pool.known_node(NodeId::parse(b"12345678").unwrap())
                .is_none()
        );
    }
}
