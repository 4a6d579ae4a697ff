//! When a schedule is due: the five fields of cron, in UTC, at most once an hour.

use time::{Date, Duration, OffsetDateTime, Time};

/// Longest schedule, in characters (contract, database §9).
pub(super) const MAX_LENGTH: usize = 64;

/// How far a next or last time is looked for: a 29th of February may be eight years away.
const HORIZON_DAYS: i64 = 366 * 9;

const MONTHS: [&str; 12] = [
    "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC",
];
const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

/// A schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Schedule {
    minute: u8,
    /// Sets of numbers, a bit each.
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    /// Whether a day must fit one of days and weekdays instead of both: as in cron, when both are
    /// narrowed.
    either: bool,
}

impl Schedule {
    /// Reads `minute hour day month weekday`.
    ///
    /// # Errors
    /// What is wrong, in a sentence.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let fields: Vec<&str> = text.split_ascii_whitespace().collect();
        let &[minute, hour, day, month, weekday] = fields.as_slice() else {
            return Err(
                "a schedule has exactly 5 fields: minute hour day month weekday".to_owned(),
            );
        };
        let one = || "the minute must be one number from 0 to 59".to_owned();
        let minute = number(minute, &[]).filter(|it| *it < 60).ok_or_else(one)?;
        let weekdays = set("weekday", weekday, 0..=7, &WEEKDAYS, 0)?;
        let schedule = Self {
            minute,
            hours: set("hour", hour, 0..=23, &[], 0)?,
            days: set("day", day, 1..=31, &[], 1)?,
            months: set("month", month, 1..=12, &MONTHS, 1)?,
            // Sunday is 0 and 7.
            weekdays: weekdays | ((weekdays >> 7) & 1),
            either: !day.starts_with('*') && !weekday.starts_with('*'),
        };
        match schedule.after(OffsetDateTime::UNIX_EPOCH) {
            Some(_) => Ok(schedule),
            None => Err("there is no such day in any year".to_owned()),
        }
    }

    /// The first time after `moment`.
    pub(super) fn after(&self, moment: OffsetDateTime) -> Option<OffsetDateTime> {
        let today = moment.to_offset(time::UtcOffset::UTC).date();
        (0..HORIZON_DAYS)
            .map_while(|days| today.checked_add(Duration::days(days)))
            .filter(|date| self.has_day(*date))
            .flat_map(|date| (0..24).filter_map(move |hour| self.at(date, hour)))
            .find(|time| *time > moment)
    }

    /// The last time that is not after `moment`.
    pub(super) fn until(&self, moment: OffsetDateTime) -> Option<OffsetDateTime> {
        let today = moment.to_offset(time::UtcOffset::UTC).date();
        (0..HORIZON_DAYS)
            .map_while(|days| today.checked_sub(Duration::days(days)))
            .filter(|date| self.has_day(*date))
            .flat_map(|date| (0..24).rev().filter_map(move |hour| self.at(date, hour)))
            .find(|time| *time <= moment)
    }

    fn at(&self, date: Date, hour: u8) -> Option<OffsetDateTime> {
        let time = Time::from_hms(hour, self.minute, 0).ok()?;
        has(self.hours, hour).then(|| date.with_time(time).assume_utc())
    }

    fn has_day(&self, date: Date) -> bool {
        let day = has(self.days, date.day());
        let weekday = has(self.weekdays, date.weekday().number_days_from_sunday());
        let fits = if self.either {
            day || weekday
        } else {
            day && weekday
        };
        fits && has(self.months, u8::from(date.month()))
    }
}

fn has(set: u64, number: u8) -> bool {
    (set >> number) & 1 == 1
}

/// A number, or one of the names, the first of which stands for `from`.
fn number(text: &str, names: &[&str]) -> Option<u8> {
    let named = names
        .iter()
        .position(|name| name.eq_ignore_ascii_case(text));
    let digits = || {
        text.bytes()
            .all(|b| b.is_ascii_digit())
            .then(|| text.parse().ok())
    };
    match named {
        Some(position) => u8::try_from(position).ok(),
        None => digits()?,
    }
}

/// `*`, `1`, `1-5`, `*/2`, `1-9/2` and lists of them; the names count from `first`.
fn set(
    field: &str,
    text: &str,
    range: std::ops::RangeInclusive<u8>,
    names: &[&str],
    first: u8,
) -> Result<u64, String> {
    let wrong = || {
        format!(
            "the {field} `{text}` must be *, numbers from {} to {}, ranges or lists of them",
            range.start(),
            range.end()
        )
    };
    let read = |part: &str| {
        let named = names.iter().any(|name| name.eq_ignore_ascii_case(part));
        let value = number(part, names)?;
        let value = if named { value + first } else { value };
        range.contains(&value).then_some(value)
    };
    let mut numbers = 0;
    for part in text.split(',') {
        let (span, step) = match part.split_once('/') {
            Some((span, step)) => {
                let step = number(step, &[])
                    .filter(|step| *step > 0)
                    .ok_or_else(wrong)?;
                (span, Some(step))
            }
            None => (part, None),
        };
        let (from, to) = match (span, span.split_once('-')) {
            ("*", _) => (*range.start(), *range.end()),
            (_, Some((from, to))) => (read(from).ok_or_else(wrong)?, read(to).ok_or_else(wrong)?),
            _ => {
                let from = read(span).ok_or_else(wrong)?;
                (from, if step.is_some() { *range.end() } else { from })
            }
        };
        if from > to {
            return Err(wrong());
        }
        for value in (from..=to).step_by(usize::from(step.unwrap_or(1))) {
            numbers |= 1_u64 << value;
        }
    }
    Ok(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    fn next(text: &str) -> OffsetDateTime {
        let schedule = Schedule::parse(text).unwrap();
        schedule.after(datetime!(2026-01-31 09:05 UTC)).unwrap()
    }

    #[test]
    fn the_next_time_is_strictly_after() {
        for (text, wanted) in [
            ("0 0 * * *", datetime!(2026-02-01 00:00 UTC)),
            ("5 9 * * *", datetime!(2026-02-01 09:05 UTC)),
            ("6 9 * * *", datetime!(2026-01-31 09:06 UTC)),
            ("30 */6 * * *", datetime!(2026-01-31 12:30 UTC)),
            ("0 8-10,20 * * *", datetime!(2026-01-31 10:00 UTC)),
            ("0 0 29 2 *", datetime!(2028-02-29 00:00 UTC)),
            ("0 0 * * mon", datetime!(2026-02-02 00:00 UTC)),
            ("0 0 * * 7", datetime!(2026-02-01 00:00 UTC)),
            ("0 0 * feb-mar 0", datetime!(2026-02-01 00:00 UTC)),
            // One of both is enough, when both are narrowed.
            ("0 0 15 * fri", datetime!(2026-02-06 00:00 UTC)),
            ("0 0 */10 * *", datetime!(2026-02-01 00:00 UTC)),
        ] {
            assert_eq!(next(text), wanted, "{text}");
        }
    }

    #[test]
    fn the_last_time_may_be_now() {
        let schedule = Schedule::parse("5 9 * * *").unwrap();
        let due = datetime!(2026-01-31 09:05 UTC);
        assert_eq!(schedule.until(due), Some(due));
        assert_eq!(
            schedule.until(due - Duration::SECOND),
            Some(due - Duration::DAY)
        );
    }

    #[test]
    fn what_is_no_schedule_is_refused() {
        for text in [
            "",
            "0 0 * *",
            "0 0 * * * *",
            "* * * * *",
            "*/5 * * * *",
            "0,30 * * * *",
            "60 0 * * *",
            "0 24 * * *",
            "0 0 0 * *",
            "0 0 32 * *",
            "0 0 * 13 *",
            "0 0 * * 8",
            "0 5-1 * * *",
            "0 */0 * * *",
            "0 1- * * *",
            "0 x * * *",
            "0 0 30 2 *",
            "0 0 * * +1",
            "0 999999999999 * * *",
            "0 0 é * *",
        ] {
            assert!(Schedule::parse(text).is_err(), "{text}");
        }
    }
}
