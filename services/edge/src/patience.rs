//! How long the body of a request is waited for: a client that sends nothing, or a byte now and then,
//! must not hold a connection to a service for as long as it likes.
//!
//! Only the time in which somebody reads counts. While a service takes nothing the client cannot go
//! on, and that is not its fault.

use std::time::{Duration, Instant};

use bytes::Bytes;
use pingora::{Error, ErrorType, Result};
use tokio::time::timeout;

/// Bytes that earn a client one more second.
const BYTES_A_SECOND: u64 = 512;

/// What is left of it for one body.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    limit: Duration,
    waited: Duration,
    received: u64,
}

impl Patience {
    /// Waits for `limit`, and longer the more has come.
    pub(crate) fn new(limit: Duration) -> Self {
        Self {
            limit,
            waited: Duration::ZERO,
            received: 0,
        }
    }

    /// The longest silence.
    pub(crate) fn limit(&self) -> Duration {
        self.limit
    }

    /// Waits for the next piece of the body.
    ///
    /// # Errors
    /// Those of `reading`, and that it takes too long.
    pub(crate) async fn wait(
        &mut self,
        reading: impl Future<Output = Result<Option<Bytes>>>,
    ) -> Result<Option<Bytes>> {
        let begun = Instant::now();
        let Ok(piece) = timeout(self.left(), reading).await else {
            return Error::e_explain(ErrorType::ReadTimedout, "the body comes too slowly");
        };
        let piece = piece?;
        let bytes = piece.as_ref().map_or(0, |piece| piece.len() as u64);
        self.note(bytes, begun.elapsed());
        Ok(piece)
    }

    fn note(&mut self, bytes: u64, waited: Duration) {
        self.received = self.received.saturating_add(bytes);
        self.waited = self.waited.saturating_add(waited);
    }

    fn left(&self) -> Duration {
        let earned = Duration::from_secs(self.received / BYTES_A_SECOND);
        let allowed = self.limit.saturating_add(earned);
        allowed.saturating_sub(self.waited).min(self.limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_mins(1);

    #[test]
    fn a_byte_now_and_then_buys_no_time() {
        let mut patience = Patience::new(LIMIT);
        assert_eq!(patience.left(), LIMIT);
        patience.note(1, Duration::from_secs(59));
        assert_eq!(patience.left(), Duration::from_secs(1));
        patience.note(1, Duration::from_secs(1));
        assert_eq!(patience.left(), Duration::ZERO);
    }

    #[test]
    fn who_sends_steadily_may_take_hours() {
        let mut patience = Patience::new(LIMIT);
        for _ in 0..10_000 {
            patience.note(BYTES_A_SECOND, Duration::from_secs(1));
        }
        assert_eq!(patience.left(), LIMIT);
        // What has come before does not buy a longer silence.
        patience.note(1 << 30, Duration::ZERO);
        assert_eq!(patience.left(), LIMIT);
    }

    #[tokio::test]
    async fn what_is_there_already_is_read_even_then() {
        let mut patience = Patience::new(Duration::ZERO);
        let piece = patience.wait(async { Ok(Some(Bytes::from_static(b"x"))) });
        assert_eq!(piece.await.unwrap().unwrap(), "x");
        let never = patience.wait(std::future::pending()).await.unwrap_err();
        assert_eq!(*never.etype(), ErrorType::ReadTimedout);
    }
}
