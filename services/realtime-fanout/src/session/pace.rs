//! How many events a client may send.

use std::time::Duration;

use tokio::time::Instant;

/// A client may send the events of so much time at once.
const BURST: Duration = Duration::from_secs(5);

/// The events that a client may still send now.
#[derive(Debug)]
pub(super) struct Pace {
    /// Time that one event costs.
    each: Duration,
    /// Time that is saved up, at most [`BURST`].
    saved: Duration,
    counted: Instant,
}

impl Pace {
    pub(super) fn new(per_second: u32) -> Self {
        Self {
            each: Duration::from_secs(1) / per_second.max(1),
            saved: BURST,
            counted: Instant::now(),
        }
    }

    /// Whether one more event is within the limit; it counts if so.
    pub(super) fn allows_one(&mut self) -> bool {
        let now = Instant::now();
        self.saved = (self.saved + (now - self.counted)).min(BURST);
        self.counted = now;
        match self.saved.checked_sub(self.each) {
            Some(left) => {
                self.saved = left;
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_burst_is_allowed_and_then_the_rate() {
        let mut pace = Pace::new(10);
        assert_eq!((0..100).filter(|_| pace.allows_one()).count(), 50);
        tokio::time::advance(Duration::from_millis(300)).await;
        assert_eq!((0..100).filter(|_| pace.allows_one()).count(), 3);
        tokio::time::advance(Duration::from_mins(1)).await;
        assert_eq!((0..100).filter(|_| pace.allows_one()).count(), 50);
    }
}
