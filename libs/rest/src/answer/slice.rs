//! `Content-Range` and the status that goes with it.

use http::StatusCode;

use crate::error::RestError;
use crate::request::range::Window;

/// Which rows of how many.
#[derive(Debug)]
pub(super) struct Slice {
    pub(super) status: StatusCode,
    pub(super) header: String,
    /// What stands in the body instead of rows: there are fewer rows than were skipped.
    pub(super) error: Option<RestError>,
}

/// `0-24/3573`, with asterisks for what is empty or unknown.
pub(super) fn text(rows: Option<(i64, i64)>, total: Option<i64>) -> String {
    let rows = match rows {
        Some((first, last)) if total != Some(0) => format!("{first}-{last}"),
        _ => "*".to_owned(),
    };
    let total = total.map_or_else(|| "*".to_owned(), |total| total.to_string());
    format!("{rows}/{total}")
}

/// The slice that a read returned. Beginning after the last row is an error if the total is known.
pub(super) fn of_read(window: Window, returned: i64, total: Option<i64>) -> Slice {
    let first = window.offset;
    let last = first.saturating_add(returned).saturating_sub(1);
    let error = total.filter(|total| first > *total).map(|total| {
        RestError::invalid_range(format!(
            "An offset of {first} was requested, but there are only {total} rows."
        ))
    });
    let status = match (&error, total) {
        (Some(error), _) => error.status(),
        (None, Some(total)) if returned < total => StatusCode::PARTIAL_CONTENT,
        _ => StatusCode::OK,
    };
    Slice {
        status,
        header: text((first <= last).then_some((first, last)), total),
        error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slice(offset: i64, returned: i64, total: Option<i64>) -> (u16, String) {
        let window = Window {
            offset,
            limit: None,
        };
        let slice = of_read(window, returned, total);
        assert!(slice.error.is_none());
        (slice.status.as_u16(), slice.header)
    }

    #[test]
    fn names_the_rows_and_the_total() {
        assert_eq!(slice(0, 25, Some(100)), (206, "0-24/100".to_owned()));
        assert_eq!(slice(0, 3, Some(3)), (200, "0-2/3".to_owned()));
        assert_eq!(slice(5, 3, None), (200, "5-7/*".to_owned()));
        assert_eq!(slice(0, 0, Some(0)), (200, "*/0".to_owned()));
        assert_eq!(slice(0, 0, None), (200, "*/*".to_owned()));
    }

    #[test]
    fn refuses_to_begin_after_the_end() {
        let window = Window {
            offset: 9,
            limit: None,
        };
        let slice = of_read(window, 0, Some(3));
        assert_eq!((slice.status.as_u16(), slice.header.as_str()), (416, "*/3"));
        assert_eq!(slice.error.unwrap().code(), "PGRST103");
    }
}
