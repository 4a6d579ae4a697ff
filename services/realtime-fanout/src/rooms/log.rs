//! The last messages of a room, kept while clients come back that ask for what they missed: each is
//! read and encoded once for all of them.

use std::collections::VecDeque;
use std::time::Duration;

use engineioxide::Str;
use tokio::time::Instant;
use uuid::Uuid;

/// Most bytes of frames that one room keeps; more than the stream has by default.
const MAX_BYTES: usize = 32 << 20;
/// How long a room keeps its log after somebody last used it.
pub(super) const LOG_LIFE: Duration = Duration::from_mins(1);

/// One message.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    /// Its place in the project's stream.
    pub(super) sequence: u64,
    pub(super) id: Uuid,
    /// `None` for a message that no client can hear.
    pub(super) frame: Option<Str>,
}

/// The messages of a room above a sequence, without a hole.
#[derive(Debug)]
pub(super) struct Log {
    entries: VecDeque<Entry>,
    bytes: usize,
    /// Everything above this sequence is here.
    begin: u64,
    /// The stream's messages are here, too, and not only what the feed brought since.
    whole: bool,
    /// Kept until then, if nobody uses it again.
    until: Instant,
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
    /// A log that begins above `begin`.
    pub(super) fn after(begin: u64) -> Self {
        Self {
            entries: VecDeque::new(),
            bytes: 0,
            begin,
            whole: false,
            until: Instant::now() + LOG_LIFE,
        }
    }

    /// Adds the room's next message; one that is here already is left out.
    pub(super) fn push(&mut self, entry: Entry) {
        let end = self.entries.back().map_or(self.begin, |last| last.sequence);
        if entry.sequence <= end {
            return;
        }
        self.bytes += weight(&entry);
        self.entries.push_back(entry);
        while self.bytes > MAX_BYTES
            && let Some(oldest) = self.entries.pop_front()
        {
            self.bytes -= weight(&oldest);
            self.begin = oldest.sequence;
        }
    }

    /// The stream's messages have been added.
    pub(super) fn complete(&mut self) {
        self.whole = true;
    }

    /// Whether clients can be given what they missed.
    pub(super) fn is_usable(&self) -> bool {
        self.whole && Instant::now() < self.until
    }

    /// The sequence of a message, if it is here.
    pub(super) fn sequence_of(&mut self, id: Uuid) -> Option<u64> {
        self.until = Instant::now() + LOG_LIFE;
        let entry = self.entries.iter().rev().find(|entry| entry.id == id);
        entry.map(|entry| entry.sequence)
    }

    /// At most `limit` entries above `sequence`.
    pub(super) fn following(&mut self, sequence: u64, limit: usize) -> Following {
        self.until = Instant::now() + LOG_LIFE;
        if sequence < self.begin {
            return Following::Forgotten;
        }
        let start = self
            .entries
            .partition_point(|entry| entry.sequence <= sequence);
        Following::Entries(self.entries.range(start..).take(limit).cloned().collect())
    }
}

fn weight(entry: &Entry) -> usize {
    entry.frame.as_ref().map_or(0, |frame| frame.len()) + size_of::<Entry>()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(sequence: u64, length: usize) -> Entry {
        Entry {
            sequence,
            id: Uuid::from_u128(sequence.into()),
            frame: Some("x".repeat(length).into()),
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
        let mut log = Log::after(0);
        for sequence in [3, 5, 5, 4, 9] {
            log.push(entry(sequence, 1));
        }
        assert_eq!(log.sequence_of(Uuid::from_u128(5)), Some(5));
        assert_eq!(log.sequence_of(Uuid::from_u128(4)), None);
        assert_eq!(sequences(log.following(0, 10)), Some(vec![3, 5, 9]));
        assert_eq!(sequences(log.following(3, 1)), Some(vec![5]));
        assert_eq!(sequences(log.following(9, 10)), Some(vec![]));
    }

    #[test]
    fn a_full_log_says_that_it_forgot() {
        let mut log = Log::after(0);
        for sequence in 1..=3 {
            log.push(entry(sequence, MAX_BYTES / 2 - 100));
        }
        assert_eq!(sequences(log.following(0, 10)), None);
        assert_eq!(sequences(log.following(1, 10)), Some(vec![2, 3]));
    }
}
