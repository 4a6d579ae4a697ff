//! The query string: which parameter means what, and where in the tree of embedded resources it
//! applies.

use std::collections::BTreeMap;

use percent_encoding::utf8_percent_encode;

use super::condition::{Filter, ValueEnd, condition};
use super::cursor::{Cursor, Parsed, parse_as, parse_if_begun, parse_start_as};
use super::field::{Field, JsonStep, delimiter, json_path, name};
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

impl Query {
    /// More than columns is asked for: something is embedded, or a filter is on something that
    /// should be, or there is an aggregate.
    pub(crate) fn is_about_more_than_columns(&self) -> bool {
        let more = |item: &SelectItem| matches!(item, SelectItem::Relation(_)) || item.aggregates();
        self.select.iter().any(more)
            || self.filters.iter().any(|(path, _)| !path.is_empty())
            || self.logic.iter().any(|(path, _)| !path.is_empty())
    }
}

/// Parses a raw query string (without `?`). With `arguments_allowed` (functions called by GET or
/// HEAD), a parameter that is no condition becomes an argument instead of an error.
pub(crate) fn parse(raw: &str, arguments_allowed: bool) -> Result<Query, RestError> {
    if raw.len() > MAX_LENGTH {
        return Err(RestError::request_too_large("query string", MAX_LENGTH));
    }
    let pairs: Vec<(String, Option<String>)> = raw
        .split(['&', ';'])
        .filter(|pair| !pair.is_empty())
        .map(decode_pair)
        .collect::<Result<_, _>>()?;
    let given: Vec<(&str, &str)> = pairs
        .iter()
        .filter_map(|(key, value)| Some((key.as_str(), value.as_deref()?)))
        .collect();
    // In this order, so that of several errors the same one is told as by PostgREST.
    let order = each(&given, &["order"], parse_order)?;
    let logic = each(&given, &["and", "or"], parse_logic)?;
    let first = |name: &str| {
        let found = given.iter().find(|(key, _)| *key == name);
        found.map(|(_, value)| *value)
    };
    let names = |name: &str| {
        first(name)
            .map(|value| parse_names(name, value))
            .transpose()
    };
    let mut query = Query {
        columns: names("columns")?,
        select: parse_select(first("select").unwrap_or("*"))?,
        order,
        logic,
        windows: parse_windows(&given)?,
        canonical: canonical(&pairs),
        ..Query::default()
    };
    for (key, value) in &given {
        if !SINGLE.contains(key) && !EMBEDDABLE.contains(&last_word(key)) {
            parse_filter(&mut query, key, value, arguments_allowed)?;
        }
    }
    query.on_conflict = names("on_conflict")?;
    Ok(query)
}

/// Parameters of the resource of the path only.
const SINGLE: [&str; 3] = ["select", "columns", "on_conflict"];

/// Parameters that an embedded resource may have, too.
const EMBEDDABLE: [&str; 5] = ["order", "limit", "offset", "and", "or"];

fn last_word(key: &str) -> &str {
    key.rsplit_once('.').map_or(key, |(_, last)| last)
}

/// What `parse` makes of the parameters whose last word is one of `words`.
fn each<T>(
    given: &[(&str, &str)],
    words: &[&str],
    parse: impl Fn(&str, &str) -> Result<T, RestError>,
) -> Result<Vec<T>, RestError> {
    let wanted = given
        .iter()
        .filter(|(key, _)| words.contains(&last_word(key)));
    wanted.map(|(key, value)| parse(key, value)).collect()
}

fn parse_order(key: &str, value: &str) -> Result<(EmbedPath, Vec<OrderTerm>), RestError> {
    let mut path = tree_path(key)?.0;
    path.pop();
    Ok((path, parse_as("order", value, value, order::terms)?))
}

fn parse_windows(given: &[(&str, &str)]) -> Result<BTreeMap<EmbedPath, Window>, RestError> {
    let mut windows: BTreeMap<EmbedPath, Window> = BTreeMap::new();
    for (key, value) in given {
        let is_limit = match last_word(key) {
            "limit" => true,
            "offset" => false,
            _ => continue,
        };
        let mut path = tree_path(key)?.0;
        path.pop();
        let window = windows.entry(path).or_default();
        if is_limit {
            window.set_limit(value)?;
        } else {
            window.set_offset(value);
        }
    }
    Ok(windows)
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

/// What `Content-Location` repeats: sorted by name, encoded again, values of one name joined by
/// commas.
fn canonical(pairs: &[(String, Option<String>)]) -> String {
    let mut sorted: Vec<_> = pairs.iter().collect();
    sorted.sort_by(|a, b| a.0.cmp(&b.0));
    let mut text = String::new();
    let mut before: Option<&str> = None;
    for (key, value) in sorted {
        if before == Some(key) {
            text.push(',');
        } else {
            text.push_str(if before.is_some() { "&" } else { "" });
            text.extend(utf8_percent_encode(key, super::CANONICAL));
            text.push('=');
        }
        let value = value.as_deref().unwrap_or_default();
        text.extend(utf8_percent_encode(value, super::CANONICAL));
        before = Some(key);
    }
    text
}

fn parse_select(value: &str) -> Result<Vec<SelectItem>, RestError> {
    if value == "*" {
        return Ok(vec![SelectItem::Column(SelectColumn::plain("*"))]);
    }
    parse_as("select parameter", value, value, select::items)
}

fn parse_names(parameter: &str, value: &str) -> Result<Vec<String>, RestError> {
    let what = format!("{parameter} parameter");
    parse_as(&what, value, value, |cursor| {
        let comma = |cursor: &mut Cursor<'_>| {
            let comma = cursor.spaced(|cursor| cursor.one(|c| c == ',', "\",\""));
            comma.map(drop)
        };
        cursor.separated(comma, name)
    })
}

/// Names of embedded resources and, last, a column with the path into it.
fn tree_path(key: &str) -> Result<(EmbedPath, Vec<JsonStep>), RestError> {
    parse_as("tree path", key, key, path_and_steps)
}

fn path_and_steps(cursor: &mut Cursor<'_>) -> Parsed<(EmbedPath, Vec<JsonStep>)> {
    Ok((cursor.separated(delimiter, name)?, json_path(cursor)?))
}

fn parse_logic(key: &str, value: &str) -> Result<(EmbedPath, Logic), RestError> {
    let mut path = parse_as("logic path", key, key, |cursor| {
        cursor.separated(delimiter, name)
    })?;
    let word = path.pop().unwrap_or_default();
    let negated = path.iter().any(|name| name == "not");
    path.retain(|name| name != "not");
    let negation = if negated { "not." } else { "" };
    let source = format!("{negation}{word}{value}");
    Ok((path, parse_as("logic tree", value, &source, logic::group)?))
}

fn parse_filter(
    query: &mut Query,
    key: &str,
    value: &str,
    arguments_allowed: bool,
) -> Result<(), RestError> {
    let path = tree_path(key);
    let rule = |cursor: &mut Cursor<'_>| condition(cursor, ValueEnd::Parameter);
    let found = if arguments_allowed {
        parse_if_begun("filter", value, value, rule)
    } else {
        parse_start_as("filter", value, value, rule).map(Some)
    };
    let condition = match found {
        Ok(Some(condition)) => condition,
        Ok(None) => {
            let (mut names, _) = parse_start_as("tree path", key, key, path_and_steps)?;
            let name = names.pop().unwrap_or_default();
            query.arguments.push((name, value.to_owned()));
            return Ok(());
        }
        Err(error) => return Err(path.err().unwrap_or(error)),
    };
    let (mut path, steps) = path?;
    let field = Field {
        name: path.pop().unwrap_or_default(),
        path: steps,
    };
    query.filters.push((path, Filter { field, condition }));
    Ok(())
}
