//! The last messages of a room, for clients that come back and ask for what they missed.
//!
//! The last seconds are always here, because most clients that come back come at once: another node
//! or an edge has ended. Who was away for longer makes the room read more of the stream; that is
//! kept for a while, so that it is read and encoded once for all who ask.

use std::collections::VecDeque;
use std::time::Duration;

use ingot_bus::StoredFrom;
use tokio::time::Instant;
use uuid::Uuid;

use crate::session::Frame;

/// Most bytes of frames that one room keeps while its log is used; more than the stream has by
/// default.
const MAX_BYTES: usize = 32 << 20;
/// Most bytes that it keeps while nobody asks.
const RECENT_BYTES: usize = 128 << 10;
/// How long a log counts as used after somebody last asked.
const LOG_LIFE: Duration = Duration::from_mins(1);

/// One message.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    /// Its place in the project's stream.
    pub(super) sequence: u64,
    pub(super) id: Uuid,
    /// `None` for a message that no client can hear.
    pub(super) frame: Option<Frame>,
}

/// The messages of a room above a sequence, without a hole.
#[derive(Debug, Default)]
pub(super) struct Log {
    entries: VecDeque<Entry>,
    bytes: usize,
    /// Everything above this sequence is here; `None` before the first entry.
    begin: Option<u64>,
    /// What of the stream is here, too, and not only what the feed brought.
    covers: Option<StoredFrom>,
    /// It counts as used until then.
    until: Option<Instant>,
    /// Its last sequence when it was last swept.
    swept: u64,
    /// How many logs the room had before this one.
    number: u64,
}

/// What follows a point of a log.
#[derive(Debug)]
pub(super) enum Following {
    /// These entries, oldest first; none if the point is the log's end.
    Entries(Vec<Entry>),
    /// The log does not reach back so far.
    Forgotten,
}

impl Log {
    /// A log of the stream's messages, to which those of the feed are added.
    pub(super) fn of(stored: impl IntoIterator<Item = Entry>, from: StoredFrom) -> Self {
        let mut log = Self {
            covers: Some(from),
            ..Self::default()
        };
        log.keep();
        for entry in stored {
            log.push(entry);
        }
        log
    }

    /// Drops everything: sequences may count from 1 again.
    pub(super) fn start_over(&mut self) {
        *self = Self {
            number: self.number + 1,
            ..Self::default()
        };
    }

    /// How many logs the room had before this one.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// From now on, nothing is dropped for a while.
    pub(super) fn keep(&mut self) {
        self.until = Some(Instant::now() + LOG_LIFE);
    }

    /// Adds the room's next message; one that is here already is left out.
    pub(super) fn push(&mut self, entry: Entry) {
        let end = self.entries.back().map(|last| last.sequence);
        if Some(entry.sequence) <= end.or(self.begin) {
            return;
        }
        self.begin.get_or_insert(entry.sequence.saturating_sub(1));
        self.bytes += weight(&entry);
        self.entries.push_back(entry);
        let most = if self.is_used() {
            MAX_BYTES
        } else {
            RECENT_BYTES
        };
        while self.bytes > most && self.drop_oldest() {}
    }

    /// Returns whether there was one.
    fn drop_oldest(&mut self) -> bool {
        let Some(oldest) = self.entries.pop_front() else {
            return false;
        };
        self.bytes -= weight(&oldest);
        self.begin = Some(oldest.sequence);
        self.covers = None;
        true
    }

    /// Puts what the stream had in front of what the feed brought meanwhile.
    pub(super) fn fill(&mut self, stored: Self) {
        let fed = std::mem::replace(self, stored);
        self.number = fed.number;
        for entry in fed.entries {
            self.push(entry);
        }
    }

    /// Drops what was here at the last sweep already, unless somebody uses the log.
    pub(super) fn sweep(&mut self) {
        if !self.is_used() {
            while self
                .entries
                .front()
                .is_some_and(|oldest| oldest.sequence <= self.swept)
            {
                self.drop_oldest();
            }
            self.entries.shrink_to(64);
        }
        self.swept = self.entries.back().map_or(0, |last| last.sequence);
    }

    /// Whether a message that the stream got after a time would be here.
    pub(super) fn reaches_back_to(&self, from: StoredFrom) -> bool {
        match (self.covers, from) {
            (Some(StoredFrom::Beginning), _) => true,
            (Some(StoredFrom::Time(here)), StoredFrom::Time(wanted)) => here <= wanted,
            _ => false,
        }
    }

    fn is_used(&self) -> bool {
        self.until.is_some_and(|until| Instant::now() < until)
    }

    /// The sequence of a message, if it is here.
    pub(super) fn sequence_of(&mut self, id: Uuid) -> Option<u64> {
        let entry = self.entries.iter().rev().find(|entry| entry.id == id)?;
        let sequence = entry.sequence;
        self.keep();
        Some(sequence)
    }

    /// At most `limit` entries above `sequence`.
    pub(super) fn following(&mut self, sequence: u64, limit: usize) -> Following {
        self.keep();
        if self.begin.is_none_or(|begin| sequence < begin) {
            return Following::Forgotten;
        }
        let start = self
            .entries
            .partition_point(|entry| entry.sequence <= sequence);
        Following::Entries(self.entries.range(start..).take(limit).cloned().collect())
    }
}

fn weight(entry: &Entry) -> usize {
    entry.frame.as_ref().map_or(0, |frame| frame.wire().len()) + size_of::<Entry>()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(sequence: u64, length: usize) -> Entry {
        Entry {
            sequence,
            id: Uuid::from_u128(sequence.into()),
            frame: Some(Frame::wire_only(&vec![0; length])),
        }
    }

    fn sequences(following: Following) -> Option<Vec<u64>> {
        match following {
            Following::Entries(entries) => Some(entries.iter().map(|e| e.sequence).collect()),
            Following::Forgotten => None,
        }
    }

    #[test]
    fn entries_follow_a_point_once_and_in_order() {
        let mut log = Log::default();
        log.keep();
        for sequence in [5, 4, 9] {
            log.push(entry(sequence, 1));
        }
        assert_eq!(sequences(log.following(3, 10)), None);
        assert_eq!(sequences(log.following(5, 10)), Some(vec![9]));
        log.fill(Log::of(
            [3, 5].map(|sequence| entry(sequence, 1)),
            StoredFrom::Beginning,
        ));
        assert_eq!(log.sequence_of(Uuid::from_u128(5)), Some(5));
        assert_eq!(log.sequence_of(Uuid::from_u128(4)), None);
        assert_eq!(sequences(log.following(3, 1)), Some(vec![5]));
        assert_eq!(sequences(log.following(3, 10)), Some(vec![5, 9]));
        assert_eq!(sequences(log.following(9, 10)), Some(vec![]));
    }

    #[test]
    fn a_full_log_says_that_it_forgot() {
        let stored = [1, 2, 3].map(|sequence| entry(sequence, MAX_BYTES / 2 - 100));
        let mut log = Log::of(stored, StoredFrom::Beginning);
        assert_eq!(sequences(log.following(0, 10)), None);
        assert_eq!(sequences(log.following(1, 10)), Some(vec![2, 3]));
        assert!(!log.reaches_back_to(StoredFrom::Beginning));
    }

    #[tokio::test(start_paused = true)]
    async fn only_the_last_seconds_stay_while_nobody_asks() {
        let mut log = Log::default();
        for sequence in 1..=3 {
            log.push(entry(sequence, RECENT_BYTES / 2 - 100));
        }
        log.sweep();
        log.push(entry(4, 1));
        assert_eq!(log.sequence_of(Uuid::from_u128(1)), None);
        assert_eq!(log.sequence_of(Uuid::from_u128(2)), Some(2));
        log.sweep();
        assert_eq!(sequences(log.following(2, 10)), Some(vec![3, 4]), "in use");
        tokio::time::advance(LOG_LIFE).await;
        log.push(entry(5, 1));
        log.sweep();
        assert_eq!(sequences(log.following(2, 10)), None);
        assert_eq!(sequences(log.following(4, 10)), Some(vec![5]));
    }
}
