//! Plans of function calls.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use http::Method;

use super::functions::Choice;
use super::read::{ReadNode, Source};
use super::{Parsed, Planner, Shape};
use crate::error::RestError;
use crate::request::payload::Payload;
use crate::request::range::Window;
use crate::request::select::SelectItem;
use crate::schema::{Function, ObjectName, Parameter, Relation, Returns, Volatility};

/// A call.
#[derive(Debug, Clone)]
pub(crate) struct CallPlan {
    pub(crate) function: Arc<Function>,
    pub(crate) arguments: Arguments,
    /// What the answer shows of the result; `None` for a single value or nothing.
    pub(crate) read: Option<ReadNode>,
    /// Slice of the values, where the result has no columns.
    pub(crate) window: Window,
    /// The function may not change anything: it says so itself, or it is called by GET.
    pub(crate) read_only: bool,
}

#[derive(Debug, Clone)]
pub(crate) enum Arguments {
    /// Named values of the query string or a form; several for a variadic parameter.
    Direct(Vec<(Parameter, Vec<String>)>),
    /// Keys of a JSON object.
    Json {
        body: Bytes,
        is_object: bool,
        parameters: Vec<Parameter>,
    },
    /// The body is the one argument.
    Whole { body: Bytes, data_type: String },
}

/// What is called, before the query is looked at.
#[derive(Debug, Clone)]
pub(crate) struct Called {
    pub(crate) function: Arc<Function>,
    arguments: Arguments,
    /// The relation whose rows come back.
    row_type: Option<Arc<Relation>>,
}

impl Called {
    /// What can be embedded is looked for from here.
    pub(crate) fn source(&self) -> &ObjectName {
        match &self.row_type {
            Some(relation) => &relation.name,
            None => &self.function.name,
        }
    }
}

impl CallPlan {
    pub(crate) fn returns_void(&self) -> bool {
        self.function.returns == Returns::Void
    }

    /// One object or value, not an array.
    pub(crate) fn returns_one(&self) -> bool {
        !self.function.returns_set
    }

    /// What it returns has no columns.
    pub(crate) fn returns_values(&self) -> bool {
        matches!(self.function.returns, Returns::Void | Returns::Scalar)
    }
}

impl Planner<'_> {
    /// The function that GET, HEAD or POST of `/rpc/<name>` calls.
    pub(crate) fn called(&self, parsed: &Parsed, name: &str) -> Result<Called, RestError> {
        let keys: BTreeSet<String> = match (&parsed.payload, &parsed.query.columns) {
            (Some(Payload::Unchecked { .. }), Some(columns)) => columns.iter().cloned().collect(),
            (Some(payload), _) => payload.keys(),
            (None, _) => parsed
                .query
                .arguments
                .iter()
                .map(|(key, _)| key.clone())
                .collect(),
        };
        let choice = self.choose_function(parsed, name, &keys);
        // Only as an unnamed argument an array may have anything in it.
        let uneven = matches!(&parsed.payload, Some(Payload::Whole { is_array: true, .. }));
        if uneven && !choice.as_ref().is_ok_and(|choice| choice.whole_body) {
            return Err(RestError::uneven_keys());
        }
        let choice = choice?;
        let row_type = match &choice.function.returns {
            Returns::Row(Some(name)) => self.schema.relations.get(name).cloned(),
            _ => None,
        };
        Ok(Called {
            arguments: arguments(parsed, &choice, &keys),
            function: choice.function,
            row_type,
        })
    }

    /// Plans the call.
    pub(crate) fn call(&self, parsed: &Parsed, called: Called) -> Result<CallPlan, RestError> {
        let name = called.source().clone();
        let Called {
            function,
            arguments,
            row_type,
        } = called;
        let read = |shape: Shape, window: Window| {
            self.read(Source::Result, shape, &name, &parsed.query, window, false)
        };
        let read = match &function.returns {
            Returns::Void | Returns::Scalar => {
                // There is one column, with a name of its own.
                let shape = Shape::Columns {
                    label: function.name.name.clone(),
                    columns: vec![("pgrst_scalar".to_owned(), function.return_type.clone())],
                };
                let asks = function.returns == Returns::Scalar && asks_of_columns(parsed);
                Some(read(shape, parsed.window)?).filter(|_| asks)
            }
            Returns::Row(_) => {
                let shape = match row_type {
                    Some(relation) => Shape::Relation(relation),
                    None if function.out_columns.is_empty() => Shape::Opaque,
                    None => Shape::Columns {
                        // What is selected is looked for in the call, all else in its result.
                        label: if selects_all(parsed) {
                            function.name.name.clone()
                        } else {
                            "pgrst_call".to_owned()
                        },
                        columns: function.out_columns.clone(),
                    },
                };
                Some(read(shape, parsed.window)?)
            }
        };
        let read = read.map(|mut read| {
            read.cap(self.settings.max_rows);
            read
        });
        Ok(CallPlan {
            read_only: parsed.method != Method::POST || function.volatility != Volatility::Volatile,
            arguments,
            window: if function.returns_set {
                parsed.window.capped(self.settings.max_rows)
            } else {
                parsed.window
            },
            read,
            function,
        })
    }
}

/// The value is filtered, sorted or selected by name.
fn asks_of_columns(parsed: &Parsed) -> bool {
    let query = &parsed.query;
    !(selects_all(parsed)
        && query.filters.is_empty()
        && query.logic.is_empty()
        && query.order.is_empty())
}

/// Nothing in particular is selected.
fn selects_all(parsed: &Parsed) -> bool {
    matches!(parsed.query.select.as_slice(),
        [SelectItem::Column(column)] if column.is_star())
}

fn arguments(parsed: &Parsed, choice: &Choice, keys: &BTreeSet<String>) -> Arguments {
    let function = &choice.function;
    if choice.whole_body {
        let only = function.parameters.first();
        return Arguments::Whole {
            body: match &parsed.payload {
                Some(payload) => payload.text(),
                None => Payload::Fields(parsed.query.arguments.clone()).text(),
            },
            data_type: only.map(|p| p.data_type.clone()).unwrap_or_default(),
        };
    }
    let given = |parameter: &&Parameter| keys.contains(&parameter.name);
    let direct = |fields: &[(String, String)]| {
        let mut values: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for (key, value) in fields {
            values.entry(key).or_default().push(value.clone());
        }
        let parameters = function.parameters.iter().filter(given).map(|parameter| {
            let mut given = values.remove(parameter.name.as_str()).unwrap_or_default();
            if !parameter.variadic {
                // The last of several values counts.
                given.drain(..given.len().saturating_sub(1));
            }
            (parameter.clone(), given)
        });
        Arguments::Direct(parameters.collect())
    };
    match &parsed.payload {
        None => direct(&parsed.query.arguments),
        Some(Payload::Fields(fields)) => direct(fields),
        Some(payload) => Arguments::Json {
            body: payload.text(),
            is_object: payload.is_object(),
            parameters: function.parameters.iter().filter(given).cloned().collect(),
        },
    }
}
