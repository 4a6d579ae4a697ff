//! Times as the contract prints them: ISO 8601, UTC, milliseconds, `Z` (platform §3.2).

use serde::{Serialize, Serializer};
use time::{OffsetDateTime, UtcOffset};

/// A time that serialises as the contract prints it; a column of type `timestamptz` reads as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, sqlx::Type)]
#[sqlx(transparent)]
pub struct Timestamp(pub OffsetDateTime);

impl From<OffsetDateTime> for Timestamp {
    fn from(time: OffsetDateTime) -> Self {
        Self(time)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&timestamp(self.0))
    }
}

/// `2026-01-31T09:05:00.120Z`: digits below the millisecond are dropped, not rounded.
pub fn timestamp(time: OffsetDateTime) -> String {
    let utc = time.to_offset(UtcOffset::UTC);
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
        utc.year(),
        u8::from(utc.month()),
        utc.day(),
        utc.hour(),
        utc.minute(),
        utc.second(),
        utc.millisecond(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn always_three_digits_and_utc() {
        let time = OffsetDateTime::from_unix_timestamp_nanos(1_769_850_300_120_999_999).unwrap();
        let shifted = time.to_offset(UtcOffset::from_hms(5, 30, 0).unwrap());
        assert_eq!(timestamp(shifted), "2026-01-31T09:05:00.120Z");
    }
}
