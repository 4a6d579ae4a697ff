//! Waiting for sockets whose queue is full, but never so long that a room suffers from it.
//!
//! A burst comes in faster than the best reader takes it out. Who is behind at such a moment is
//! given a little time; a room spends only a small share of its time on that, so that one slow
//! reader cannot hold up the others: it is disconnected instead.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::session::{Client, Frame, Offer};

/// Longest time that a room can have saved up.
const MOST: Duration = Duration::from_millis(250);
/// Share of its time that a room may wait, as a divisor.
const SHARE: u32 = 20;
/// Pause before a full queue is tried again.
const PAUSE: Duration = Duration::from_millis(1);

/// How long a room may still wait for those that are behind.
#[derive(Debug)]
pub(super) struct Patience {
    left: Duration,
    counted: Instant,
}

impl Patience {
    pub(super) fn new() -> Self {
        Self {
            left: MOST,
            counted: Instant::now(),
        }
    }

    /// Sends a frame to a client whose queue was full; disconnects it when patience ends. Returns
    /// whether it has the frame.
    pub(super) async fn send(&mut self, client: &Client, frame: &Frame) -> bool {
        let begin = Instant::now();
        self.left = (self.left + (begin - self.counted) / SHARE).min(MOST);
        self.counted = begin;
        let deadline = begin + self.left;
        let taken = loop {
            sleep(PAUSE).await;
            match client.offer(frame) {
                Offer::Taken => break true,
                Offer::Full if Instant::now() < deadline => {}
                Offer::Full => {
                    client.disconnect("slow");
                    break false;
                }
                Offer::Gone => break false,
            }
        };
        self.left = self.left.saturating_sub(begin.elapsed());
        self.counted = Instant::now();
        taken
    }
}
