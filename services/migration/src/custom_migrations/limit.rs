//! How often one client may rehearse migrations (contract, database §8.3). A rehearsal takes the
//! locks of the real thing.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use axum::response::Response;
use http::{HeaderValue, StatusCode};
use ingot_http::{ApiError, Code};
use ingot_project::ProjectId;
use moka::sync::Cache;

/// Rehearsals in a window.
const ALLOWED: u32 = 30;

/// Length of a window, which begins with a client's first rehearsal.
const WINDOW: Duration = Duration::from_mins(15);

/// Clients that are remembered; a further one makes the service forget another.
const MAX_CLIENTS: u64 = 10_000;

/// Counts of one process. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct RehearsalLimit {
    windows: Cache<(ProjectId, IpAddr), Arc<Window>>,
}

#[derive(Debug)]
struct Window {
    began: Instant,
    count: AtomicU32,
}

/// What is left to a client, for the answer's headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Quota {
    remaining: u32,
    /// Seconds until the window ends.
    reset: u64,
    /// Whether this rehearsal was one too many.
    exceeded: bool,
}

impl RehearsalLimit {
    pub(crate) fn new() -> Self {
        Self {
            windows: Cache::builder()
                .max_capacity(MAX_CLIENTS)
                .time_to_live(WINDOW)
                .build(),
        }
    }

    /// Counts a rehearsal.
    pub(super) fn count(&self, project: &ProjectId, client: Option<IpAddr>) -> Quota {
        let client = client.unwrap_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED));
        let window = self.windows.get_with((project.clone(), client), || {
            Arc::new(Window {
                began: Instant::now(),
                count: AtomicU32::new(0),
            })
        });
        let before = window.count.fetch_add(1, Ordering::Relaxed);
        let left = WINDOW.saturating_sub(window.began.elapsed());
        Quota {
            remaining: ALLOWED.saturating_sub(before.saturating_add(1)),
            reset: left.as_secs().max(1),
            exceeded: before >= ALLOWED,
        }
    }
}

impl Quota {
    /// The answer to a rehearsal too many.
    pub(super) fn refusal(self) -> Option<ApiError> {
        self.exceeded.then(|| {
            ApiError::new(
                StatusCode::TOO_MANY_REQUESTS,
                Code::TooManyRequests,
                "Too many dry runs from this address",
            )
            .with_hint("Wait until the time in RateLimit-Reset has passed")
            .with_retry_after(self.reset)
        })
    }

    /// Adds the headers to an answer.
    pub(super) fn tell(self, mut response: Response) -> Response {
        let headers = response.headers_mut();
        headers.insert("ratelimit-policy", HeaderValue::from_static("30;w=900"));
        headers.insert("ratelimit-limit", ALLOWED.into());
        headers.insert("ratelimit-remaining", self.remaining.into());
        headers.insert("ratelimit-reset", self.reset.into());
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_has_its_own_count() {
        let limit = RehearsalLimit::new();
        let project: ProjectId = "p".parse().unwrap();
        let client = |last| Some(IpAddr::from([10, 0, 0, last]));
        for used in 1..=ALLOWED {
            let quota = limit.count(&project, client(1));
            assert_eq!(quota.remaining, ALLOWED - used);
            assert!(quota.refusal().is_none());
        }
        let quota = limit.count(&project, client(1));
        assert_eq!(quota.remaining, 0);
        assert_eq!(quota.refusal().unwrap().status(), 429);
        let others = limit.count(&"q".parse().unwrap(), client(1));
        for quota in [limit.count(&project, client(2)), others] {
            assert!(quota.refusal().is_none());
        }
    }
}
