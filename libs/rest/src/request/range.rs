//! Which slice of the rows is wanted: `limit`/`offset` parameters and the `Range` header.

use http::HeaderMap;

use crate::error::RestError;

const NEGATIVE_LIMIT: &str = "Limit should be greater than or equal to zero.";

/// A slice of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Window {
    pub(crate) offset: i64,
    pub(crate) limit: Option<i64>,
}

impl Window {
    /// A limit that is no number is ignored; a negative one cannot be satisfied.
    pub(crate) fn set_limit(&mut self, value: &str) -> Result<(), RestError> {
        if let Ok(limit) = value.parse::<i64>() {
            if limit < 0 {
                return Err(negative_limit());
            }
            self.limit = Some(limit);
        }
        Ok(())
    }

    pub(crate) fn set_offset(&mut self, value: &str) {
        if let Ok(offset) = value.parse::<i64>() {
            self.offset = offset.max(0);
        }
    }

    /// The smaller of this window's limit and `cap`.
    pub(crate) fn capped(mut self, cap: Option<u64>) -> Self {
        if let Some(cap) = cap.and_then(|cap| i64::try_from(cap).ok()) {
            self.limit = Some(self.limit.map_or(cap, |limit| limit.min(cap)));
        }
        self
    }

    pub(crate) fn is_whole(&self) -> bool {
        self.offset == 0 && self.limit.is_none()
    }

    /// No rows, but not from the first on: a range of items that nothing can be in.
    pub(crate) fn is_empty_elsewhere(&self) -> bool {
        self.offset > 0 && self.limit == Some(0)
    }

    /// Rows that are in both windows.
    fn intersect(self, other: Self) -> Self {
        let end = |window: Self| {
            window
                .limit
                .map(|limit| window.offset.saturating_add(limit))
        };
        let offset = self.offset.max(other.offset);
        let end = match (end(self), end(other)) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        Self {
            offset,
            limit: end.map(|end| end.saturating_sub(offset).max(0)),
        }
    }
}

/// A range that has nothing in it. `limit=0` alone may ask for nothing.
pub(crate) fn negative_limit() -> RestError {
    RestError::invalid_range(NEGATIVE_LIMIT.to_owned())
}

/// Reads `Range: 0-9` (items), as sent with `Range-Unit: items` or without it.
pub(crate) fn requested(headers: &HeaderMap, query: Window) -> Result<Window, RestError> {
    let header = headers
        .get(http::header::RANGE)
        .and_then(|value| value.to_str().ok())
        .and_then(parse_header);
    match header {
        // Nothing is nothing, wherever the header would begin.
        _ if query.offset == 0 && query.limit == Some(0) => Ok(query),
        None if query.is_empty_elsewhere() => Err(negative_limit()),
        None => Ok(query),
        Some((first, Some(last))) if last < first => Err(RestError::invalid_range(
            "The lower boundary must be lower than or equal to the upper boundary in the Range \
             header."
                .to_owned(),
        )),
        Some((first, last)) => {
            let both = query.intersect(Window {
                offset: first,
                limit: last.map(|last| last.saturating_sub(first).saturating_add(1)),
            });
            if both.limit == Some(0) {
                return Err(negative_limit());
            }
            Ok(both)
        }
    }
}

/// `first-last` or `first-`; anything else is not a range of items and is ignored.
fn parse_header(value: &str) -> Option<(i64, Option<i64>)> {
    let (first, last) = value.split_once('-')?;
    let digits = |text: &str| {
        (!text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()))
            .then(|| text.parse().ok())
            .flatten()
    };
    match last {
        "" => Some((digits(first)?, None)),
        last => Some((digits(first)?, Some(digits(last)?))),
    }
}
