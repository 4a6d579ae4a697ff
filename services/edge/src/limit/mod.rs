//! The rate limit: so many requests per client address in a fixed window (contract, platform §5).
//!
//! Counting is local and takes one short lock. [`gossip`] tells the other replicas what was
//! counted here, so that all of them refuse alike; without a bus each replica counts alone.

pub(crate) mod gossip;

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lru::LruCache;

/// Locks that the addresses are spread over.
const SHARDS: usize = 64;

/// Whose requests are counted together: a client address within a project. An IPv6 client owns a
/// /64 network and may change its address at will, so the network is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    project: u64,
    address: u128,
}

impl Key {
    /// The key of a client in the project with that limit key.
    pub(crate) fn new(project: u64, client: IpAddr) -> Self {
        let address = match client {
            IpAddr::V4(v4) => u128::from(v4.to_ipv6_mapped()),
            IpAddr::V6(v6) => u128::from(v6) & (u128::MAX << 64),
        };
        Self { project, address }
    }
}

/// What is left to a client after a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Quota {
    /// Requests that it may still make in this window.
    pub(crate) remaining: u32,
    /// Seconds until the window ends, at least 1.
    pub(crate) reset: u64,
    /// Whether this request was one too many.
    pub(crate) exceeded: bool,
}

/// Requests of one key in its current window.
#[derive(Debug, Clone, Copy)]
struct Window {
    /// End, in milliseconds of Unix time.
    ends: u64,
    /// Requests, counted here and elsewhere.
    count: u32,
    /// Requests counted here that the other replicas have not been told of.
    unsent: u32,
}

/// A window as replicas tell each other about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Share {
    key: Key,
    ends: u64,
    count: u32,
}

#[derive(Debug)]
struct Shard {
    windows: LruCache<Key, Window>,
    /// Keys with something unsent.
    changed: Vec<Key>,
}

/// The counts of all clients. Memory is bounded: the longest unseen client is forgotten first.
#[derive(Debug)]
pub(crate) struct RateLimit {
    limit: u32,
    window: u64,
    shards: [Mutex<Shard>; SHARDS],
    capacity: usize,
    hasher: RandomState,
}

impl RateLimit {
    /// `limit` requests per `window`, remembered for up to `addresses` clients.
    pub(crate) fn new(limit: u32, window: Duration, addresses: usize) -> Self {
        Self {
            limit,
            window: millis(window),
            shards: std::array::from_fn(|_| {
                Mutex::new(Shard {
                    windows: LruCache::unbounded(),
                    changed: Vec::new(),
                })
            }),
            capacity: addresses.div_ceil(SHARDS).max(1),
            hasher: RandomState::new(),
        }
    }

    /// Requests allowed per window.
    pub(crate) fn limit(&self) -> u32 {
        self.limit
    }

    /// Counts a request.
    pub(crate) fn count(&self, key: Key) -> Quota {
        self.count_at(key, now())
    }

    fn count_at(&self, key: Key, now: u64) -> Quota {
        let mut shard = self.shard(&key);
        let Shard { windows, changed } = &mut *shard;
        let window = windows.get_or_insert_mut(key, || Window {
            ends: 0,
            count: 0,
            unsent: 0,
        });
        if window.ends <= now {
            window.ends = now + self.window;
            window.count = 0;
            // An unsent rest of the old window is of no use to anybody.
            if window.unsent > 0 {
                window.unsent = 0;
                changed.retain(|other| *other != key);
            }
        }
        window.count = window.count.saturating_add(1);
        if window.unsent > 0 {
            window.unsent = window.unsent.saturating_add(1);
        } else if changed.len() < self.capacity {
            changed.push(key);
            window.unsent = 1;
        }
        let quota = Quota {
            remaining: self.limit.saturating_sub(window.count),
            reset: (window.ends - now).div_ceil(1000).max(1),
            exceeded: window.count > self.limit,
        };
        self.forget_oldest(windows);
        quota
    }

    /// Takes what was counted here since the last call.
    fn take_unsent(&self) -> Vec<Share> {
        let mut shares = Vec::new();
        for shard in &self.shards {
            let mut shard = lock(shard);
            let Shard { windows, changed } = &mut *shard;
            for key in changed.drain(..) {
                if let Some(window) = windows.peek_mut(&key) {
                    shares.push(Share {
                        key,
                        ends: window.ends,
                        count: window.unsent,
                    });
                    window.unsent = 0;
                }
            }
        }
        shares
    }

    /// Adds what another replica has counted since it last told.
    fn add(&self, share: Share) {
        self.update(share, u32::saturating_add);
    }

    /// Takes over the whole count of a window from a replica that may know more.
    fn merge(&self, share: Share) {
        self.update(share, u32::max);
    }

    fn update(&self, share: Share, combine: impl FnOnce(u32, u32) -> u32) {
        let now = now();
        // Over already, or no window that this limit could have opened (a clock is far off).
        if share.ends <= now || share.ends > now + 2 * self.window {
            return;
        }
        let mut shard = self.shard(&share.key);
        let windows = &mut shard.windows;
        let window = windows.get_or_insert_mut(share.key, || Window {
            ends: share.ends,
            count: 0,
            unsent: 0,
        });
        if window.ends <= now {
            (window.count, window.ends) = (0, share.ends);
        }
        window.ends = window.ends.min(share.ends);
        window.count = combine(window.count, share.count);
        self.forget_oldest(windows);
    }

    /// Windows with at least `least` requests.
    fn busiest(&self, least: u32) -> Vec<Share> {
        let now = now();
        let mut shares = Vec::new();
        for shard in &self.shards {
            let shard = lock(shard);
            let busy = shard
                .windows
                .iter()
                .filter(|(_, window)| window.ends > now && window.count >= least);
            shares.extend(busy.map(|(key, window)| Share {
                key: *key,
                ends: window.ends,
                count: window.count,
            }));
        }
        shares
    }

    fn forget_oldest(&self, windows: &mut LruCache<Key, Window>) {
        if windows.len() > self.capacity {
            windows.pop_lru();
        }
    }

    fn shard(&self, key: &Key) -> MutexGuard<'_, Shard> {
        let [index, ..] = self.hasher.hash_one(key).to_ne_bytes();
        let [first, ..] = &self.shards;
        lock(
            self.shards
                .get(usize::from(index) % SHARDS)
                .unwrap_or(first),
        )
    }
}

fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    // Nothing in a locked section can leave a count half-done.
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map(millis)
        .unwrap_or_default()
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(limit: u32) -> RateLimit {
        RateLimit::new(limit, Duration::from_mins(15), 10_000)
    }

    fn key(address: &str) -> Key {
        Key::new(1, address.parse().unwrap())
    }

    #[test]
    fn the_window_is_fixed_and_starts_with_the_first_request() {
        let limit = limit(2);
        let quota = |now| limit.count_at(key("9.9.9.9"), now);
        let first = quota(1_000);
        assert_eq!(
            (first.remaining, first.reset, first.exceeded),
            (1, 900, false)
        );
        assert_eq!(quota(2_500).reset, 899);
        assert!(quota(3_000).exceeded);
        assert!(quota(900_999).exceeded);
        assert!(!quota(901_000).exceeded);
    }

    #[test]
    fn clients_and_projects_are_counted_apart_and_ipv6_by_network() {
        let limit = limit(1);
        assert!(!limit.count(key("1.1.1.1")).exceeded);
        assert!(!limit.count(key("1.1.1.2")).exceeded);
        assert!(
            !limit
                .count(Key::new(2, "1.1.1.1".parse().unwrap()))
                .exceeded
        );
        assert!(!limit.count(key("2001:db8::1")).exceeded);
        assert!(limit.count(key("2001:db8::ffff")).exceeded);
        assert!(!limit.count(key("2001:db8:0:1::1")).exceeded);
    }

    #[test]
    fn replicas_add_up() {
        let (here, there) = (limit(3), limit(3));
        for _ in 0..2 {
            here.count(key("1.1.1.1"));
            there.count(key("1.1.1.1"));
        }
        for share in there.take_unsent() {
            here.add(share);
        }
        assert!(there.take_unsent().is_empty());
        assert!(here.count(key("1.1.1.1")).exceeded);
        assert_eq!(
            here.take_unsent()[0].count,
            3,
            "told shares are not told on"
        );
    }

    #[test]
    fn a_newcomer_takes_over_the_busiest() {
        let (old, new) = (limit(100), limit(100));
        for _ in 0..99 {
            old.count(key("1.1.1.1"));
        }
        old.count(key("2.2.2.2"));
        let shares = old.busiest(2);
        assert_eq!(shares.len(), 1);
        for _ in 0..2 {
            for share in &shares {
                new.merge(*share);
            }
        }
        assert!(!new.count(key("1.1.1.1")).exceeded);
        assert!(new.count(key("1.1.1.1")).exceeded);
    }

    #[test]
    fn memory_is_bounded() {
        let limit = RateLimit::new(1, Duration::from_mins(15), SHARDS * 4);
        for n in 0..50_000_u32 {
            limit.count(Key::new(1, IpAddr::V4(n.into())));
        }
        let (mut windows, mut changed) = (0, 0);
        for shard in &limit.shards {
            windows += lock(shard).windows.len();
            changed += lock(shard).changed.len();
        }
        assert!(
            windows <= SHARDS * 4 && changed <= SHARDS * 4,
            "{windows} {changed}"
        );
    }
}
