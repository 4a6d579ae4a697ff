//! Header pagination of lists (contract, platform §6.2).

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode};
use serde::{Deserialize, Serialize};

/// What part of a list the caller wants.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct Page {
    /// Most items to return.
    pub limit: i64,
    /// Items to skip.
    pub offset: i64,
}

/// A list with `Content-Range` and `Preference-Applied: count=exact`; 206 when it is not all.
#[derive(Debug, Clone)]
pub struct Paged<T> {
    /// The items of this page.
    pub items: Vec<T>,
    /// Where the page starts.
    pub offset: i64,
    /// How many items there are in all.
    pub total: i64,
}

impl<T: Serialize> IntoResponse for Paged<T> {
    fn into_response(self) -> Response {
        let count = i64::try_from(self.items.len()).unwrap_or(i64::MAX);
        let last = (self.offset + count - 1).min(self.total - 1);
        let range = format!("{}-{last}/{}", self.offset, self.total);
        let status = if count < self.total {
            StatusCode::PARTIAL_CONTENT
        } else {
            StatusCode::OK
        };
        let mut response = (status, Json(self.items)).into_response();
        if let Ok(range) = HeaderValue::try_from(range) {
            response
                .headers_mut()
                .insert(http::header::CONTENT_RANGE, range);
        }
        response.headers_mut().insert(
            "preference-applied",
            HeaderValue::from_static("count=exact"),
        );
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(items: usize, offset: i64, total: i64) -> (u16, String) {
        let response = Paged {
            items: vec![0; items],
            offset,
            total,
        }
        .into_response();
        let range = response.headers()["content-range"]
            .to_str()
            .unwrap()
            .to_owned();
        (response.status().as_u16(), range)
    }

    #[test]
    fn ranges_as_the_contract_prints_them() {
        assert_eq!(range(0, 0, 0), (200, "0--1/0".into()));
        assert_eq!(range(2, 0, 2), (200, "0-1/2".into()));
        assert_eq!(range(1, 1, 3), (206, "1-1/3".into()));
        assert_eq!(range(0, 5, 2), (206, "5-1/2".into()));
    }
}
