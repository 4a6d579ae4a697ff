//! Plans of writes.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use http::Method;

use super::embed::Embed;
use super::read::{ReadNode, Selected, Source};
use super::{Ordering, Parsed, Planner, Predicate, Shape};
use crate::error::RestError;
use crate::request::condition::{Operation, Operator};
use crate::request::payload::Payload;
use crate::request::preferences::{Missing, Representation, Resolution};
use crate::request::range::Window;
use crate::schema::{ObjectName, Relation};

/// A write of a table or view.
#[derive(Debug, Clone)]
pub(crate) struct MutatePlan {
    pub(crate) target: Arc<Relation>,
    pub(crate) action: Action,
    /// Columns that the write returns, for the representation or the location.
    pub(crate) returning: Returning,
    /// What the answer shows of the returned rows.
    pub(crate) read: Option<ReadNode>,
    /// The answer names the new row's address.
    pub(crate) location: bool,
}

/// What RETURNING lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Returning {
    Nothing,
    /// All columns, and computed ones by name.
    All(BTreeSet<String>),
    Columns(BTreeSet<String>),
}

#[derive(Debug, Clone)]
pub(crate) enum Action {
    Insert(Insert),
    Update(Change),
    Delete(Selection),
}

/// Values for columns.
#[derive(Debug, Clone)]
pub(crate) struct Values {
    pub(crate) body: Bytes,
    pub(crate) is_object: bool,
    pub(crate) columns: Vec<Target>,
    /// Missing keys take the column's default.
    pub(crate) defaults: bool,
}

/// A column that is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) name: String,
    pub(crate) full_type: String,
    pub(crate) default: Option<String>,
    /// Function that reads the JSON value.
    pub(crate) from_json: Option<ObjectName>,
}

#[derive(Debug, Clone)]
pub(crate) struct Insert {
    pub(crate) values: Values,
    /// Columns that decide that a row exists already, and what happens then.
    pub(crate) conflict: Option<(Resolution, Vec<String>)>,
    /// For PUT: the key in the URL must be the key in the body.
    pub(crate) must_match: Vec<Predicate>,
}

/// Which rows.
#[derive(Debug, Clone)]
pub(crate) struct Selection {
    pub(crate) predicates: Vec<Predicate>,
    pub(crate) order: Vec<Ordering>,
    pub(crate) window: Window,
}

#[derive(Debug, Clone)]
pub(crate) struct Change {
    pub(crate) values: Values,
    pub(crate) rows: Selection,
}

impl Planner<'_> {
    /// Plans POST, PUT, PATCH or DELETE on a relation.
    pub(crate) fn mutate(&self, parsed: &Parsed, name: &str) -> Result<MutatePlan, RestError> {
        let target = self.relation(name).map_err(|error| {
            // PostgREST looks up the columns that are written, and has no table to look in.
            let is_found_missing = error.code() == "42P01";
            if is_found_missing && !columns_given(parsed).is_empty() {
                RestError::not_found()
            } else {
                error
            }
        })?;
        let target = target.clone();
        let full = parsed.preferences.representation == Some(Representation::Full);
        let headers_only = parsed.preferences.representation == Some(Representation::HeadersOnly);
        let read = self.representation(parsed, &target, full)?;
        let location = headers_only && parsed.method == Method::POST;
        let returning = match &read {
            Some(read) => returned_columns(read, &target),
            None if headers_only && !target.primary_key.is_empty() => {
                Returning::Columns(target.primary_key.iter().cloned().collect())
            }
            None => Returning::Nothing,
        };
        let action = match parsed.method {
            Method::POST | Method::PUT => Action::Insert(Self::insert(parsed, &target)?),
            Method::PATCH => Action::Update(Change {
                values: values(parsed, &target)?,
                rows: Self::selection(parsed, &target)?,
            }),
            _ => Action::Delete(Self::selection(parsed, &target)?),
        };
        Ok(MutatePlan {
            target,
            action,
            returning,
            read,
            location,
        })
    }

    /// What the answer shows of the written rows. Where it shows none, resources that cannot be
    /// embedded, filters on resources that are not, and aggregates are errors all the same.
    fn representation(
        &self,
        parsed: &Parsed,
        target: &Arc<Relation>,
        full: bool,
    ) -> Result<Option<ReadNode>, RestError> {
        let query = &parsed.query;
        if !full && !query.is_about_more_than_columns() {
            return Ok(None);
        }
        let shape = Shape::Relation(target.clone());
        let window = Window::default();
        let read = self.read(Source::Result, shape, &target.name, query, window, true);
        match read {
            Err(error) if full || error.code().starts_with("PGRST") => Err(error),
            read => Ok(read.ok().filter(|_| full)),
        }
    }

    fn insert(parsed: &Parsed, target: &Arc<Relation>) -> Result<Insert, RestError> {
        if parsed.method == Method::PUT {
            let must_match = Self::put_filters(parsed, target)?;
            return Ok(Insert {
                values: values(parsed, target)?,
                conflict: Some((Resolution::Merge, target.primary_key.clone())),
                must_match,
            });
        }
        let values = values(parsed, target)?;
        let columns = match &parsed.query.on_conflict {
            Some(columns) => {
                let unknown = columns
                    .iter()
                    .find(|column| target.column(column).is_none());
                if let Some(unknown) = unknown {
                    return Err(RestError::undefined_conflict_column(unknown));
                }
                columns.clone()
            }
            None => target.primary_key.clone(),
        };
        let conflict = parsed
            .preferences
            .resolution
            .map(|resolution| (resolution, columns));
        Ok(Insert {
            values,
            conflict: conflict.filter(|(_, columns)| !columns.is_empty()),
            must_match: Vec::new(),
        })
    }

    /// PUT names one row: every column of the primary key with `eq`, and nothing else.
    fn put_filters(parsed: &Parsed, target: &Arc<Relation>) -> Result<Vec<Predicate>, RestError> {
        let filters = &parsed.query.filters;
        let names: BTreeSet<&String> = filters
            .iter()
            .map(|(_, filter)| &filter.field.name)
            .collect();
        let key: BTreeSet<&String> = target.primary_key.iter().collect();
        let plain = filters.iter().all(|(path, filter)| {
            path.is_empty()
                && filter.field.path.is_empty()
                && !filter.condition.negated
                && matches!(
                    filter.condition.operation,
                    Operation::Compare {
                        operator: Operator::Equal,
                        quantifier: None,
                        ..
                    }
                )
        });
        if !plain || names != key || key.is_empty() || !parsed.query.logic.is_empty() {
            return Err(RestError::put_filters());
        }
        Ok(Self::selection(parsed, target)?.predicates)
    }

    /// Rows that the top-level filters select.
    fn selection(parsed: &Parsed, target: &Arc<Relation>) -> Result<Selection, RestError> {
        let node = ReadNode {
            source: Source::Relation(target.name.clone()),
            shape: Shape::Relation(target.clone()),
            select: Vec::new(),
            predicates: Vec::new(),
            order: Vec::new(),
            window: parsed.window,
            embeds: Vec::new(),
        };
        let query = &parsed.query;
        let mut predicates = Vec::new();
        for (_, filter) in query.filters.iter().filter(|(path, _)| path.is_empty()) {
            predicates.push(Self::filter(&node, filter)?);
        }
        for (_, logic) in query.logic.iter().filter(|(path, _)| path.is_empty()) {
            predicates.push(Self::logic(&node, logic)?);
        }
        let mut order = Vec::new();
        if !parsed.window.is_whole() {
            let terms = query.order.iter().filter(|(path, _)| path.is_empty());
            for term in terms.flat_map(|(_, terms)| terms) {
                order.push(Self::ordering(&node, &target.name, term)?);
            }
        }
        Ok(Selection {
            predicates,
            order,
            window: parsed.window,
        })
    }
}

/// Names of the columns that the body, or the `columns` parameter, gives values for.
fn columns_given(parsed: &Parsed) -> BTreeSet<String> {
    match (&parsed.query.columns, &parsed.payload) {
        (Some(columns), Some(Payload::Unchecked { .. })) => columns.iter().cloned().collect(),
        (_, payload) => payload.as_ref().map(Payload::keys).unwrap_or_default(),
    }
}

/// Columns that are written.
fn values(parsed: &Parsed, target: &Relation) -> Result<Values, RestError> {
    let payload = parsed
        .payload
        .as_ref()
        .ok_or_else(|| RestError::invalid_body("Empty or invalid json"))?;
    let columns = columns_given(parsed)
        .iter()
        .map(|key| {
            let column = target.column(key);
            let column = column.ok_or_else(|| RestError::no_column(&target.name.name, key))?;
            Ok(Target {
                name: column.name.clone(),
                full_type: column.full_type.to_string(),
                default: column.default.as_deref().map(str::to_owned),
                from_json: column.function(|r| &r.from_json),
            })
        })
        .collect::<Result<Vec<_>, RestError>>()?;
    if matches!(payload, Payload::Raw(_)) {
        return Err(RestError::content_type_unacceptable(
            parsed.content_type.essence(),
        ));
    }
    Ok(Values {
        body: payload.text(),
        is_object: payload.is_object(),
        columns,
        defaults: parsed.preferences.missing == Some(Missing::Default),
    })
}

/// What RETURNING must have so that the answer can be read from it.
fn returned_columns(read: &ReadNode, target: &Relation) -> Returning {
    let mut names: BTreeSet<String> = BTreeSet::new();
    let mut all = false;
    for selected in &read.select {
        match selected {
            Selected::Star => all = true,
            Selected::Field { field, .. } => {
                names.insert(field.name.clone());
            }
            Selected::CountRows { .. } => {}
        }
    }
    names.extend(
        read.order
            .iter()
            .filter(|o| o.embed.is_none())
            .map(|o| o.field.name.clone()),
    );
    for embed in &read.embeds {
        all |= matches!(embed.link, super::embed::Link::Computed { .. });
        names.extend(embed.parent_columns());
    }
    if all {
        names.retain(|name| target.column(name).is_none());
        return Returning::All(names);
    }
    if names.is_empty() {
        // Something must come back, so that the rows can be counted.
        return Returning::All(names);
    }
    Returning::Columns(names)
}

impl Embed {
    fn parent_columns(&self) -> impl Iterator<Item = String> {
        self.link.parent_columns().map(str::to_owned)
    }
}
