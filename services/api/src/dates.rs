//! Dates in parameters and bodies.

use ingot_http::ApiError;
use time::format_description::well_known::Rfc3339;
use time::{Date, OffsetDateTime, Time};

/// Reads `2026-01-31T09:05:00Z` or `2026-01-31` (its first moment in UTC).
pub(crate) fn read_time(name: &str, text: &str) -> Result<OffsetDateTime, ApiError> {
    let day = time::macros::format_description!("[year]-[month]-[day]");
    OffsetDateTime::parse(text, &Rfc3339)
        .or_else(|_| Date::parse(text, day).map(|date| date.with_time(Time::MIDNIGHT).assume_utc()))
        .map_err(|_| {
            ApiError::invalid_input(format!(
                "{name}: `{text}` is no date; write it as 2026-01-31T09:05:00Z"
            ))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_with_and_without_a_time() {
        let day = read_time("d", "2026-01-31").unwrap();
        let time = read_time("d", "2026-01-31T01:00:00+01:00").unwrap();
        assert_eq!(day, time);
        assert_eq!(read_time("d", "yesterday").unwrap_err().status(), 400);
    }
}
