//! What was counted and is not written yet.
//!
//! Messages that were published after one another share a page of the table. Their sums are dealt
//! out to lanes, of which only one is written at a time: few rows of a page change in one
//! transaction, so their new versions fit into the space that the page has left, and the next lane
//! finds the space of the old versions. The indexes then need no new entries.

use std::collections::HashMap;
use std::time::Duration;

use ingot_bus::Audience;
use tokio::time::Instant;
use uuid::Uuid;

/// Lanes. A page is filled to 85 percent (step 14), and an eighth of that has space in the rest.
pub(super) const LANES: u64 = 8;
/// How long a sum waits at least: nodes report four times a second, each on its own.
const COLLECTED: Duration = Duration::from_millis(350);
/// Messages whose sums wait while the database is away; further ones are dropped, for these are
/// statistics.
const MAX_WAITING: usize = 50_000;

/// The sums by message.
#[derive(Debug, Default)]
pub(super) struct Sums {
    waiting: HashMap<Uuid, Sum>,
    /// Messages counted so far.
    number: u64,
}

#[derive(Debug)]
struct Sum {
    sockets: i32,
    lane: u64,
    since: Instant,
}

impl Sums {
    /// Adds what a node counted.
    pub(super) fn add(&mut self, audience: Audience, now: Instant) {
        for (message, sockets) in audience.counts {
            if self.waiting.len() >= MAX_WAITING && !self.waiting.contains_key(&message) {
                metrics::counter!("realtime_relay_audience_dropped_total").increment(1);
                continue;
            }
            let sum = self.waiting.entry(message).or_insert_with(|| {
                self.number += 1;
                Sum {
                    sockets: 0,
                    lane: self.number % LANES,
                    since: now,
                }
            });
            let sockets = i32::try_from(sockets).unwrap_or(i32::MAX);
            sum.sockets = sum.sockets.saturating_add(sockets);
        }
    }

    /// The sums of a lane to which nothing more is likely to be added.
    pub(super) fn due(&self, lane: u64, now: Instant) -> Vec<(Uuid, i32)> {
        self.waiting
            .iter()
            .filter(|(_, sum)| sum.lane == lane && now.duration_since(sum.since) >= COLLECTED)
            .map(|(message, sum)| (*message, sum.sockets))
            .collect()
    }

    /// The sums of all lanes.
    pub(super) fn all(&self) -> Vec<(Uuid, i32)> {
        let sums = self.waiting.iter();
        sums.map(|(message, sum)| (*message, sum.sockets)).collect()
    }

    /// These are written.
    pub(super) fn remove(&mut self, written: &[(Uuid, i32)]) {
        for (message, _) in written {
            self.waiting.remove(message);
        }
        if self.waiting.is_empty() {
            self.waiting.shrink_to(1024);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(message: Uuid, sockets: u32) -> Audience {
        Audience {
            counts: vec![(message, sockets)],
        }
    }

    #[test]
    fn counts_of_nodes_add_up() {
        let (message, now) = (Uuid::new_v4(), Instant::now());
        let mut sums = Sums::default();
        for sockets in [2, 3] {
            sums.add(counted(message, sockets), now);
        }
        assert_eq!(sums.all(), [(message, 5)]);
        sums.remove(&[(message, 5)]);
        assert_eq!(sums.all(), []);
    }

    #[test]
    fn a_sum_is_written_once_by_its_lane_when_all_nodes_had_time_to_report() {
        let now = Instant::now();
        let mut sums = Sums::default();
        for number in 0..16 {
            sums.add(counted(Uuid::from_u128(number), 1), now);
        }
        let due = |lane, later: Duration| sums.due(lane, now + later);
        assert_eq!(due(0, COLLECTED / 2), []);
        let mut all = Vec::new();
        for lane in 0..LANES {
            let mut some = due(lane, COLLECTED);
            some.sort_unstable();
            let [(first, 1), (second, 1)] = some[..] else {
                panic!("{some:?}");
            };
            // The rows that lie next to each other are in different lanes.
            assert_eq!(first.as_u128() + u128::from(LANES), second.as_u128());
            all.extend([first, second]);
        }
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 16);
    }
}
