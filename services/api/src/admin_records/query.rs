//! Which rows a listing shows (contract, database §5.1), read from the query string.

use ingot_http::ApiError;
use serde::Deserialize;

/// Rows of a page without a limit of its own, and most rows of a page.
const DEFAULT_LIMIT: i64 = 50;
const MAX_LIMIT: i64 = 500;

/// The query as it comes.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(rename_all = "camelCase", default)]
#[into_params(parameter_in = Query)]
pub(super) struct Parameters {
    /// 50 unless given.
    #[param(value_type = Option<i64>, minimum = 1, maximum = 500)]
    limit: Option<String>,
    #[param(value_type = Option<i64>, minimum = 0)]
    offset: Option<String>,
    /// Columns, separated by commas, each with `:asc` or `:desc` if wanted.
    #[param(example = "name,age:desc")]
    sort: Option<String>,
    /// A part of any text of a row, in any case.
    search: Option<String>,
    /// Goes with `filterValue`.
    filter_column: Option<String>,
    filter_value: Option<String>,
}

/// What is listed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Listing {
    pub(super) limit: i64,
    pub(super) offset: i64,
    /// Columns, and whether the largest value comes first.
    pub(super) order: Vec<(String, bool)>,
    pub(super) search: Option<String>,
    pub(super) filter: Option<(String, String)>,
}

impl Parameters {
    pub(super) fn read(self) -> Result<Listing, ApiError> {
        let filter = match (self.filter_column, self.filter_value) {
            (Some(column), Some(value)) => Some((column, value)),
            (None, None) => None,
            _ => {
                return Err(ApiError::invalid_input(
                    "filterColumn: filterColumn and filterValue go together",
                ));
            }
        };
        let search = self.search.map(|words| words.trim().to_owned());
        Ok(Listing {
            limit: number("limit", self.limit, DEFAULT_LIMIT, 1..=MAX_LIMIT)?,
            offset: number("offset", self.offset, 0, 0..=i64::MAX)?,
            order: order(self.sort.as_deref().unwrap_or_default())?,
            search: search.filter(|words| !words.is_empty()),
            filter,
        })
    }
}

fn number(
    name: &str,
    text: Option<String>,
    default: i64,
    allowed: std::ops::RangeInclusive<i64>,
) -> Result<i64, ApiError> {
    let Some(text) = text else {
        return Ok(default);
    };
    let number = text.trim().parse().ok();
    number.filter(|n| allowed.contains(n)).ok_or_else(|| {
        let (least, most) = (allowed.start(), allowed.end());
        let bounds = if *most == i64::MAX {
            format!("of at least {least}")
        } else {
            format!("from {least} to {most}")
        };
        ApiError::invalid_input(format!("{name}: must be a whole number {bounds}"))
    })
}

/// `name`, `name:asc`, `name:desc`, separated by commas.
fn order(text: &str) -> Result<Vec<(String, bool)>, ApiError> {
    text.split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .map(|part| {
            let (column, direction) = part.split_once(':').unwrap_or((part, "asc"));
            let descending = match direction.trim().to_ascii_lowercase().as_str() {
                "asc" => false,
                "desc" => true,
                _ => {
                    return Err(ApiError::invalid_input(format!(
                        "sort: `{part}` must be a column, column:asc or column:desc"
                    )));
                }
            };
            Ok((column.trim().to_owned(), descending))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_read_strictly() {
        let read = |query: &str| serde_urlencoded_parameters(query).read();
        let listing =
            read("limit=10&offset=5&sort=a,b:DESC&search=%20x%20&filterColumn=c&filterValue=")
                .unwrap();
        assert_eq!(
            listing,
            Listing {
                limit: 10,
                offset: 5,
                order: vec![("a".into(), false), ("b".into(), true)],
                search: Some("x".into()),
                filter: Some(("c".into(), String::new())),
            }
        );
        assert_eq!(read("").unwrap().limit, 50);
        for wrong in [
            "limit=0",
            "limit=501",
            "limit=x",
            "offset=-1",
            "sort=a:up",
            "sort=a:asc:x",
            "filterColumn=a",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    fn serde_urlencoded_parameters(query: &str) -> Parameters {
        let uri: http::Uri = format!("/?{query}").parse().unwrap();
        axum::extract::Query::<Parameters>::try_from_uri(&uri)
            .unwrap()
            .0
    }
}
