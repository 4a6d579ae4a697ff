//! When a request to PostgREST may be sent again (contract, database §4.6).
//!
//! The rule behind the rules: a request is repeated only where that cannot do its work twice. Any
//! HTTP answer and any timeout is final.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::Full;

use super::sockets::{Answer, SendError, Sockets, Stage};

/// Attempts in total, not counting the replay on a stale connection.
const ATTEMPTS: u32 = 3;

/// Sends `request` until there is an answer or the rules forbid another attempt.
pub(super) async fn send(
    sockets: &Sockets,
    request: Request<Full<Bytes>>,
) -> Result<Response<Answer>, SendError> {
    let mut attempt = 1;
    let mut replayed = false;
    loop {
        let error = match sockets.send(request.clone()).await {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        if error.stage == (Stage::Broken { stale: true }) && !replayed {
            replayed = true;
            continue;
        }
        if attempt >= ATTEMPTS || !may_repeat(request.method(), error.stage) {
            return Err(error);
        }
        let pause = pause_after(attempt);
        tracing::warn!(%error, attempt, ?pause, "PostgREST did not answer, trying again");
        tokio::time::sleep(pause).await;
        attempt += 1;
    }
}

fn may_repeat(method: &Method, stage: Stage) -> bool {
    match stage {
        Stage::NotConnected => true,
        Stage::TimedOut => false,
        Stage::Broken { .. } => [Method::GET, Method::HEAD, Method::OPTIONS].contains(method),
    }
}

/// 200 ms × 2.5^(n−1) after the n-th attempt, at most 1 s.
fn pause_after(attempt: u32) -> Duration {
    let exponent = i32::try_from(attempt.saturating_sub(1)).unwrap_or(i32::MAX);
    Duration::from_millis(200)
        .mul_f64(2.5_f64.powi(exponent.min(8)))
        .min(Duration::from_secs(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_second() {
        let pauses: Vec<_> = (1..=4).map(|n| pause_after(n).as_millis()).collect();
        assert_eq!(pauses, [200, 500, 1000, 1000]);
        assert_eq!(pause_after(u32::MAX).as_millis(), 1000);
    }

    #[test]
    fn only_safe_methods_repeat_what_may_have_run() {
        let broken = Stage::Broken { stale: true };
        for method in [Method::GET, Method::HEAD, Method::OPTIONS] {
            assert!(may_repeat(&method, broken), "{method}");
            assert!(!may_repeat(&method, Stage::TimedOut), "{method}");
        }
        for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
            assert!(!may_repeat(&method, broken), "{method}");
            assert!(may_repeat(&method, Stage::NotConnected), "{method}");
        }
    }
}
