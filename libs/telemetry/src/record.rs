//! Log lines for what is logged once per request: built straight into bytes, past tracing's
//! formatter, which costs more than the rest of a small request's log.
//!
//! The lines look as if tracing had made them, with one difference: fields keep their order.

use std::cell::RefCell;
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;
use time::OffsetDateTime;

use crate::output;

static LINES_ARE_JSON: AtomicBool = AtomicBool::new(false);

/// Tells that the log's lines are JSON.
pub(crate) fn lines_are_json() {
    LINES_ARE_JSON.store(true, Ordering::Relaxed);
}

/// Writes `record`, which serialises as a JSON object with at least one field, as a line of level
/// info. Whether that level is wanted is for the caller to ask (`tracing::enabled!`).
///
/// Returns false, and writes nothing, where the log's lines are not JSON: then the record is an
/// event for tracing.
pub fn log_record(target: &'static str, message: &'static str, record: &impl Serialize) -> bool {
    if !LINES_ARE_JSON.load(Ordering::Relaxed) {
        return false;
    }
    SCRATCH.with_borrow_mut(|scratch| {
        let Scratch { clock, line } = scratch;
        line.clear();
        if write_line(line, clock, target, message, record).is_ok() {
            output::append(line);
        }
    });
    true
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// What one thread uses again and again.
#[derive(Default)]
struct Scratch {
    clock: Clock,
    line: Vec<u8>,
}

fn write_line(
    line: &mut Vec<u8>,
    clock: &mut Clock,
    target: &str,
    message: &str,
    record: &impl Serialize,
) -> serde_json::Result<()> {
    line.extend_from_slice(b"{\"timestamp\":\"");
    clock.write(SystemTime::now(), line);
    line.extend_from_slice(b"\",\"level\":\"INFO\",\"target\":");
    serde_json::to_writer(&mut *line, target)?;
    line.extend_from_slice(b",\"message\":");
    serde_json::to_writer(&mut *line, message)?;
    let start = line.len();
    serde_json::to_writer(&mut *line, record)?;
    // The record's fields go on in the same object.
    if let Some(brace) = line.get_mut(start) {
        *brace = b',';
    }
    line.push(b'\n');
    Ok(())
}

/// Writes times as RFC 3339 with microseconds; all of a second but those is the same.
#[derive(Default)]
struct Clock {
    second: u64,
    text: Vec<u8>,
}

impl Clock {
    fn write(&mut self, now: SystemTime, line: &mut Vec<u8>) {
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        if self.second != now.as_secs() || self.text.is_empty() {
            self.second = now.as_secs();
            self.text.clear();
            let seconds = i64::try_from(self.second).unwrap_or_default();
            let at =
                OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH);
            // Writing into a vector cannot fail.
            let _infallible = write!(
                self.text,
                "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}",
                at.year(),
                u8::from(at.month()),
                at.day(),
                at.hour(),
                at.minute(),
                at.second()
            );
        }
        line.extend_from_slice(&self.text);
        let mut rest = now.subsec_micros();
        let mut fraction = *b".000000Z";
        for digit in fraction.iter_mut().skip(1).take(6).rev() {
            // A remainder of 10 fits.
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        line.extend_from_slice(&fraction);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[derive(Serialize)]
    struct Sample<'a> {
        path: &'a str,
        status: u16,
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<&'a str>,
    }

    fn line(path: &str) -> serde_json::Value {
        let mut line = Vec::new();
        let sample = Sample {
            path,
            status: 200,
            error: None,
        };
        write_line(&mut line, &mut Clock::default(), "t", "request", &sample).unwrap();
        let text = String::from_utf8(line).unwrap();
        assert_eq!(text.matches('\n').count(), 1, "{text}");
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn a_line_is_one_flat_object_whatever_is_in_it() {
        for path in [
            "/",
            "/a\"b\\c",
            "/\u{1b}[31m\n\r\t\u{0}",
            "/ünïcödé/\u{2028}",
        ] {
            let line = line(path);
            assert_eq!(line["path"], path);
            assert_eq!(
                (&line["status"], &line["level"]),
                (&200.into(), &"INFO".into())
            );
            assert_eq!(line["message"], "request");
            assert!(line.get("error").is_none());
        }
    }

    #[test]
    fn times_are_those_of_the_other_lines() {
        let mut clock = Clock::default();
        for (micros, expected) in [
            (0, "1970-01-01T00:00:00.000000Z"),
            (1_000_001, "1970-01-01T00:00:01.000001Z"),
            (951_827_696_123_456, "2000-02-29T12:34:56.123456Z"),
            (951_827_696_000_999, "2000-02-29T12:34:56.000999Z"),
        ] {
            let mut line = Vec::new();
            clock.write(UNIX_EPOCH + Duration::from_micros(micros), &mut line);
            assert_eq!(String::from_utf8(line).unwrap(), expected);
        }
    }
}
