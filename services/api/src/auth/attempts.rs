//! Limits on guessing passwords: failed attempts per client address and account, and per address.
//!
//! Counted in this process: with several replicas a client has the budget once per replica.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::response::{IntoResponseParts, ResponseParts};
use http::HeaderValue;
use ingot_project::ProjectId;
use moka::sync::Cache;
use sha2::{Digest, Sha256};

/// Length of a window, from its first attempt on.
const WINDOW: Duration = Duration::from_mins(15);
/// Failed attempts per window on one account from one address.
const PER_ACCOUNT: u32 = 10;
/// Failed attempts per window from one address on any accounts.
const PER_ADDRESS: u32 = 100;
/// Windows that are remembered; under a flood the least used ones make room.
const MAX_WINDOWS: u64 = 100_000;

/// Who is being guessed at, and from where.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    project: ProjectId,
    address: IpAddr,
    /// Digest of the account's name; `None` counts all accounts together.
    account: Option<[u8; 32]>,
}

#[derive(Debug)]
struct Window {
    started: Instant,
    used: u32,
}

/// The windows of this process.
#[derive(Debug)]
pub(super) struct Attempts {
    windows: Cache<Key, Arc<Mutex<Window>>>,
}

/// One attempt. It counts as failed unless [`Attempt::succeeded`] takes it back: attempts under way
/// at the same time cannot overdraw the budget.
#[derive(Debug)]
pub(super) struct Attempt {
    account: Arc<Mutex<Window>>,
    address: Arc<Mutex<Window>>,
}

/// The headers that tell a client its budget (contract, platform §5).
#[derive(Debug, Clone, Copy)]
pub(super) struct Budget {
    remaining: u32,
    reset: u64,
    exceeded: bool,
}

impl Attempts {
    pub(super) fn new() -> Self {
        let windows = Cache::builder()
            .max_capacity(MAX_WINDOWS)
            .time_to_live(WINDOW)
            .build();
        Self { windows }
    }

    /// Begins an attempt on `account`, or says with the exceeded budget that there were too many.
    pub(super) fn begin(
        &self,
        project: &ProjectId,
        client: Option<IpAddr>,
        account: &str,
    ) -> Result<Attempt, Budget> {
        let address = network_of(client.unwrap_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED)));
        let key = |account| Key {
            project: project.clone(),
            address,
            account,
        };
        let attempt = Attempt {
            account: self.window(key(Some(Sha256::digest(account.as_bytes()).into()))),
            address: self.window(key(None)),
        };
        if !take(&attempt.address, PER_ADDRESS) {
            return Err(refusal(&attempt.address));
        }
        if !take(&attempt.account, PER_ACCOUNT) {
            give_back(&attempt.address);
            return Err(refusal(&attempt.account));
        }
        Ok(attempt)
    }

    fn window(&self, key: Key) -> Arc<Mutex<Window>> {
        self.windows.get_with(key, || {
            Arc::new(Mutex::new(Window {
                started: Instant::now(),
                used: 0,
            }))
        })
    }
}

impl Attempt {
    /// Takes the attempt back: it was no guess.
    pub(super) fn succeeded(&self) {
        give_back(&self.account);
        give_back(&self.address);
    }

    /// What is left of the account's budget.
    pub(super) fn budget(&self) -> Budget {
        budget(&self.account)
    }
}

/// Networks of IPv6 customers are counted as one client: they have 2⁶⁴ addresses each.
fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64)).into(),
        v4 @ IpAddr::V4(_) => v4,
    }
}

fn take(window: &Mutex<Window>, limit: u32) -> bool {
    let mut window = window.lock().unwrap_or_else(PoisonError::into_inner);
    let free = window.used < limit;
    window.used += u32::from(free);
    free
}

fn give_back(window: &Mutex<Window>) {
    let mut window = window.lock().unwrap_or_else(PoisonError::into_inner);
    window.used = window.used.saturating_sub(1);
}

fn budget(window: &Mutex<Window>) -> Budget {
    let window = window.lock().unwrap_or_else(PoisonError::into_inner);
    Budget {
        remaining: PER_ACCOUNT.saturating_sub(window.used),
        reset: WINDOW.saturating_sub(window.started.elapsed()).as_secs() + 1,
        exceeded: false,
    }
}

fn refusal(window: &Mutex<Window>) -> Budget {
    Budget {
        remaining: 0,
        exceeded: true,
        ..budget(window)
    }
}

impl IntoResponseParts for Budget {
    type Error = std::convert::Infallible;

    fn into_response_parts(self, mut parts: ResponseParts) -> Result<ResponseParts, Self::Error> {
        let headers = parts.headers_mut();
        if let Ok(policy) = HeaderValue::try_from(format!("{PER_ACCOUNT};w={}", WINDOW.as_secs())) {
            headers.insert("ratelimit-policy", policy);
        }
        headers.insert("ratelimit-limit", PER_ACCOUNT.into());
        headers.insert("ratelimit-remaining", self.remaining.into());
        headers.insert("ratelimit-reset", self.reset.into());
        if self.exceeded {
            headers.insert(http::header::RETRY_AFTER, self.reset.into());
        }
        Ok(parts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begin(attempts: &Attempts, address: &str, account: &str) -> bool {
        let project = "default".parse().unwrap();
        attempts
            .begin(&project, Some(address.parse().unwrap()), account)
            .is_ok()
    }

    #[test]
    fn an_account_is_guessed_at_ten_times_and_no_more() {
        let attempts = Attempts::new();
        assert!((0..10).all(|_| begin(&attempts, "192.0.2.1", "a@b.co")));
        assert!(!begin(&attempts, "192.0.2.1", "a@b.co"));
        assert!(begin(&attempts, "192.0.2.2", "a@b.co"), "another address");
        assert!(begin(&attempts, "192.0.2.1", "c@d.co"), "another account");
    }

    #[test]
    fn an_address_cannot_walk_through_the_accounts() {
        let attempts = Attempts::new();
        let tried = (0..200).filter(|n| begin(&attempts, "2001:db8::1", &n.to_string()));
        assert_eq!(tried.count(), 100);
        assert!(!begin(&attempts, "2001:db8::2", "x"), "the same network");
        assert!(begin(&attempts, "2001:db8:0:1::1", "x"), "another network");
    }

    #[test]
    fn right_passwords_cost_nothing() {
        let attempts = Attempts::new();
        let project = "default".parse().unwrap();
        for _ in 0..200 {
            let attempt = attempts.begin(&project, None, "a@b.co").unwrap();
            attempt.succeeded();
            assert_eq!(attempt.budget().remaining, 10);
        }
    }
}
