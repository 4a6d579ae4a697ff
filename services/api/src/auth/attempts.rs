//! Limits on guessing passwords: failed attempts per client address and account, and per address.
//!
//! Counted in this process: with several replicas a client has the budget once per replica.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use axum::response::{IntoResponseParts, ResponseParts};
use http::HeaderValue;
use ingot_project::ProjectId;
use moka::sync::Cache;
use sha2::{Digest, Sha256};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::failure::Failure;

/// Length of a window, from its first attempt on.
const WINDOW: Duration = Duration::from_mins(15);
/// Failed attempts per window on one account from one address.
const PER_ACCOUNT: u32 = 10;
/// Failed attempts per window from one address on any accounts.
const PER_ADDRESS: u32 = 100;
/// Windows that are remembered; under a flood the least used ones make room.
const MAX_WINDOWS: u64 = 100_000;
/// Longest wait for the outcome of other attempts.
const MAX_WAIT: Duration = Duration::from_secs(10);

/// Who is being guessed at, and from where.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    project: ProjectId,
    address: IpAddr,
    /// Digest of the account's name; `None` counts all accounts together.
    account: Option<[u8; 32]>,
}

/// A budget of failures. Its permits are attempts that may still fail: each attempt under way holds
/// one, a right one gives it back, a wrong one destroys it. So attempts at the same moment cannot
/// overdraw the budget, and right ones only wait for each other.
#[derive(Debug)]
struct Window {
    started: Instant,
    limit: u32,
    failed: AtomicU32,
    permits: Arc<Semaphore>,
}

/// The windows of this process.
#[derive(Debug)]
pub(super) struct Attempts {
    windows: Cache<Key, Arc<Window>>,
}

/// One attempt. Unless it is settled otherwise, it has failed: a caller who leaves before the
/// answer may have learned it from the time it took.
#[derive(Debug)]
pub(super) struct Attempt {
    account: Turn,
    address: Turn,
}

#[derive(Debug)]
struct Turn {
    window: Arc<Window>,
    permit: Option<OwnedSemaphorePermit>,
}

/// Why an attempt may not begin.
#[derive(Debug)]
pub(super) enum Refused {
    /// There were too many failures.
    Exceeded(Budget),
    /// Too many attempts on the account are under way.
    Busy,
}

/// The headers that tell a client its budget (contract, platform §5).
#[derive(Debug, Clone, Copy)]
pub(super) struct Budget {
    remaining: u32,
    reset: u64,
    exceeded: bool,
}

impl<T> From<Refused> for (Option<Budget>, Result<T, Failure>) {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Exceeded(budget) => (Some(budget), Err(Failure::TooManyAttempts)),
            Refused::Busy => (None, Err(Failure::Busy)),
        }
    }
}

impl Attempts {
    pub(super) fn new() -> Self {
        let windows = Cache::builder()
            .max_capacity(MAX_WINDOWS)
            .time_to_live(WINDOW)
            .build();
        Self { windows }
    }

    /// Begins an attempt on `account`.
    pub(super) async fn begin(
        &self,
        project: &ProjectId,
        client: Option<IpAddr>,
        account: &str,
    ) -> Result<Attempt, Refused> {
        let address = network_of(client.unwrap_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED)));
        let key = |account| Key {
            project: project.clone(),
            address,
            account,
        };
        let account = key(Some(Sha256::digest(account.as_bytes()).into()));
        let account = Turn::wait(self.window(account, PER_ACCOUNT)).await?;
        match Turn::wait(self.window(key(None), PER_ADDRESS)).await {
            Ok(address) => Ok(Attempt { account, address }),
            Err(refused) => {
                account.give_back();
                Err(refused)
            }
        }
    }

    fn window(&self, key: Key, limit: u32) -> Arc<Window> {
        self.windows.get_with(key, || {
            Arc::new(Window {
                started: Instant::now(),
                limit,
                failed: AtomicU32::new(0),
                permits: Arc::new(Semaphore::new(limit as usize)),
            })
        })
    }
}

impl Attempt {
    /// Ends the attempt and says what is left of the account's budget.
    pub(super) fn settle(self, guessed_wrong: bool) -> Budget {
        let window = Arc::clone(&self.account.window);
        if guessed_wrong {
            drop(self);
        } else {
            self.account.give_back();
            self.address.give_back();
        }
        window.budget()
    }
}

impl Turn {
    async fn wait(window: Arc<Window>) -> Result<Self, Refused> {
        let permit = Arc::clone(&window.permits).acquire_owned();
        match tokio::time::timeout(MAX_WAIT, permit).await {
            Ok(Ok(permit)) => Ok(Self {
                window,
                permit: Some(permit),
            }),
            // Closed by the last failure.
            Ok(Err(_)) => Err(Refused::Exceeded(Budget {
                remaining: 0,
                exceeded: true,
                ..window.budget()
            })),
            Err(_) => Err(Refused::Busy),
        }
    }

    fn give_back(mut self) {
        drop(self.permit.take());
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(permit) = self.permit.take() {
            permit.forget();
            let failed = self.window.failed.fetch_add(1, Ordering::AcqRel) + 1;
            if failed >= self.window.limit {
                self.window.permits.close();
            }
        }
    }
}

impl Window {
    fn budget(&self) -> Budget {
        let failed = self.failed.load(Ordering::Acquire);
        Budget {
            remaining: self.limit.saturating_sub(failed).min(PER_ACCOUNT),
            reset: WINDOW.saturating_sub(self.started.elapsed()).as_secs() + 1,
            exceeded: false,
        }
    }
}

/// Networks of IPv6 customers are counted as one client: they have 2⁶⁴ addresses each.
fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64)).into(),
        v4 @ IpAddr::V4(_) => v4,
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

    /// A wrong guess; whether it was let through.
    async fn guess(attempts: &Attempts, address: &str, account: &str) -> bool {
        let project = "default".parse().unwrap();
        let client = Some(address.parse().unwrap());
        let attempt = attempts.begin(&project, client, account).await;
        attempt.map(|attempt| attempt.settle(true)).is_ok()
    }

    #[tokio::test]
    async fn an_account_is_guessed_at_ten_times_and_no_more() {
        let attempts = Attempts::new();
        for _ in 0..10 {
            assert!(guess(&attempts, "192.0.2.1", "a@b.co").await);
        }
        assert!(!guess(&attempts, "192.0.2.1", "a@b.co").await);
        assert!(
            guess(&attempts, "192.0.2.2", "a@b.co").await,
            "another address"
        );
        assert!(
            guess(&attempts, "192.0.2.1", "c@d.co").await,
            "another account"
        );
    }

    #[tokio::test]
    async fn an_address_cannot_walk_through_the_accounts() {
        let attempts = Attempts::new();
        let mut tried = 0;
        for account in 0..200 {
            tried += u32::from(guess(&attempts, "2001:db8::1", &account.to_string()).await);
        }
        assert_eq!(tried, 100);
        assert!(
            !guess(&attempts, "2001:db8::2", "x").await,
            "the same network"
        );
        assert!(
            guess(&attempts, "2001:db8:0:1::1", "x").await,
            "another network"
        );
    }

    #[tokio::test]
    async fn right_passwords_cost_nothing_however_many_come_at_once() {
        let attempts = Attempts::new();
        let project: ProjectId = "default".parse().unwrap();
        let right = (0..200).map(|_| async {
            let attempt = attempts.begin(&project, None, "a@b.co").await.unwrap();
            tokio::task::yield_now().await;
            assert_eq!(attempt.settle(false).remaining, 10);
        });
        futures::future::join_all(right).await;
    }

    #[tokio::test]
    async fn guesses_at_once_do_not_overdraw() {
        let attempts = Attempts::new();
        let wrong = (0..50).map(|_| guess(&attempts, "192.0.2.1", "a@b.co"));
        let let_through = futures::future::join_all(wrong).await;
        assert_eq!(let_through.iter().filter(|through| **through).count(), 10);
    }

    #[tokio::test]
    async fn who_leaves_early_has_guessed() {
        let attempts = Attempts::new();
        let project: ProjectId = "default".parse().unwrap();
        for _ in 0..10 {
            drop(attempts.begin(&project, None, "a@b.co").await.unwrap());
        }
        let refused = attempts.begin(&project, None, "a@b.co").await;
        assert!(matches!(refused, Err(Refused::Exceeded(_))));
    }
}
