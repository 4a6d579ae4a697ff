//! The query string: which parameter means what, and where in the tree of embedded resources it
//! applies.

use std::collections::BTreeMap;

use super::condition::{Condition, Filter, ValueEnd, condition};
use super::cursor::parse_as;
use super::field::{Field, json_path, name};
use super::logic::{self, Logic};
use super::order::{self, OrderTerm};
use super::range::Window;
use super::select::{self, SelectColumn, SelectItem};
use crate::error::RestError;

/// Names of embedded resources from the root down; empty for the resource of the path.
pub(crate) type EmbedPath = Vec<String>;

/// Longest query string that is looked at, in bytes.
const MAX_LENGTH: usize = 1 << 20;

/// A parsed query string.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Query {
    pub(crate) select: Vec<SelectItem>,
    pub(crate) columns: Option<Vec<String>>,
    pub(crate) on_conflict: Option<Vec<String>>,
    pub(crate) filters: Vec<(EmbedPath, Filter)>,
    pub(crate) logic: Vec<(EmbedPath, Logic)>,
    pub(crate) order: Vec<(EmbedPath, Vec<OrderTerm>)>,
    pub(crate) windows: BTreeMap<EmbedPath, Window>,
    /// Function arguments of a GET: parameters whose value is no condition.
    pub(crate) arguments: Vec<(String, String)>,
    /// The parameters in sorted order, for `Content-Location`.
    pub(crate) canonical: String,
}

/// Parses a raw query string (without `?`). With `arguments_allowed` (functions called by GET or
/// HEAD), a parameter that is no condition becomes an argument instead of an error.
pub(crate) fn parse(raw: &str, arguments_allowed: bool) -> Result<Query, RestError> {
    if raw.len() > MAX_LENGTH {
        return Err(RestError::request_too_large("query string", MAX_LENGTH));
    }
    let pairs: Vec<(String, Option<String>)> = raw
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(decode_pair)
        .collect::<Result<_, _>>()?;
    let mut query = Query {
        select: parse_select(None)?,
        canonical: canonical(&pairs),
        ..Query::default()
    };
    let mut seen_select = false;
    for (key, value) in &pairs {
        let Some(value) = value else { continue };
        let (prefix, last) = key.rsplit_once('.').unwrap_or(("", key));
        match (key.as_str(), last) {
            ("select", _) if !seen_select => {
                seen_select = true;
                query.select = parse_select(Some(value))?;
            }
            ("columns", _) => {
                query.columns.get_or_insert(parse_names("columns", value)?);
            }
            ("on_conflict", _) => {
                query
                    .on_conflict
                    .get_or_insert(parse_names("on_conflict", value)?);
            }
            ("select", _) => {}
            (_, "order") => {
                let terms = parse_as("order", value, value, order::terms)?;
                query.order.push((embed_path(prefix)?, terms));
            }
            (_, "limit") => {
                let window = query.windows.entry(embed_path(prefix)?).or_default();
                window.set_limit(value)?;
            }
            (_, "offset") => {
                let window = query.windows.entry(embed_path(prefix)?).or_default();
                window.set_offset(value);
            }
            (_, "and" | "or") => {
                let (path, tree) = parse_logic(prefix, last, value)?;
                query.logic.push((path, tree));
            }
            _ => parse_filter(&mut query, key, value, arguments_allowed)?,
        }
    }
    Ok(query)
}

fn decode_pair(pair: &str) -> Result<(String, Option<String>), RestError> {
    let (key, value) = match pair.split_once('=') {
        Some((key, value)) => (key, Some(value)),
        None => (pair, None),
    };
    Ok((decode(key)?, value.map(decode).transpose()?))
}

fn decode(text: &str) -> Result<String, RestError> {
    let spaced = text.replace('+', " ");
    let decoded = percent_encoding::percent_decode_str(&spaced)
        .decode_utf8()
        .map_err(|_| RestError::invalid_encoding("query string is not UTF-8"))?;
    if decoded.contains('\0') {
        return Err(RestError::invalid_encoding(
            "query string contains a NUL character",
        ));
    }
    Ok(decoded.into_owned())
}

/// What `Content-Location` repeats: sorted by name, encoded again.
fn canonical(pairs: &[(String, Option<String>)]) -> String {
    let mut sorted: Vec<_> = pairs.iter().collect();
    sorted.sort_by(|a, b| a.0.cmp(&b.0).then_with(|| a.1.cmp(&b.1)));
    let encode =
        |text: &str| percent_encoding::utf8_percent_encode(text, super::UNRESERVED).to_string();
    let parts: Vec<String> = sorted
        .into_iter()
        .map(|(key, value)| match value {
            Some(value) => format!("{}={}", encode(key), encode(value)),
            None => format!("{}=", encode(key)),
        })
        .collect();
    parts.join("&")
}

fn parse_select(value: Option<&str>) -> Result<Vec<SelectItem>, RestError> {
    match value {
        None => Ok(vec![SelectItem::Column(SelectColumn::plain("*"))]),
        Some(value) => parse_as("select parameter", value, value, select::items),
    }
}

fn parse_names(parameter: &str, value: &str) -> Result<Vec<String>, RestError> {
    let what = format!("{parameter} parameter");
    parse_as(&what, value, value, |cursor| {
        cursor.separated(",", |cursor| {
            cursor.skip_spaces();
            let name = name(cursor)?;
            cursor.skip_spaces();
            Ok(name)
        })
    })
}

fn embed_path(prefix: &str) -> Result<EmbedPath, RestError> {
    if prefix.is_empty() {
        return Ok(EmbedPath::new());
    }
    parse_as("tree path", prefix, prefix, |cursor| {
        cursor.separated(".", name)
    })
}

fn parse_logic(prefix: &str, word: &str, value: &str) -> Result<(EmbedPath, Logic), RestError> {
    let (path, negation) = match prefix.strip_suffix("not") {
        Some("") => ("", "not."),
        Some(path) if path.ends_with('.') => (path.trim_end_matches('.'), "not."),
        _ => (prefix, ""),
    };
    let source = format!("{negation}{word}{value}");
    let tree = parse_as("logic tree", value, &source, logic::group)?;
    Ok((embed_path(path)?, tree))
}

fn parse_filter(
    query: &mut Query,
    key: &str,
    value: &str,
    arguments_allowed: bool,
) -> Result<(), RestError> {
    let condition = parse_as("filter", value, value, |cursor| {
        condition(cursor, ValueEnd::Parameter)
    });
    let condition: Condition = match condition {
        Ok(condition) => condition,
        Err(_) if arguments_allowed => {
            query.arguments.push((key.to_owned(), value.to_owned()));
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    let (mut path, steps) = parse_as("tree path", key, key, |cursor| {
        Ok((cursor.separated(".", name)?, json_path(cursor)?))
    })?;
    let field = Field {
        name: path.pop().unwrap_or_default(),
        path: steps,
    };
    query.filters.push((path, Filter { field, condition }));
    Ok(())
}
