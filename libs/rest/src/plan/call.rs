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
use crate::schema::{Function, Parameter, Returns, Volatility};

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

impl CallPlan {
    pub(crate) fn returns_void(&self) -> bool {
        self.function.returns == Returns::Void
    }

    /// One object or value, not an array.
    pub(crate) fn returns_one(&self) -> bool {
        !self.function.returns_set
    }
}

impl Planner<'_> {
    /// Plans GET, HEAD or POST of `/rpc/<name>`.
    pub(crate) fn call(&self, parsed: &Parsed, name: &str) -> Result<CallPlan, RestError> {
        let keys: BTreeSet<String> = match (&parsed.payload, &parsed.query.columns) {
            (Some(_), Some(columns)) => columns.iter().cloned().collect(),
            (Some(payload), None) => payload.keys(),
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
        let arguments = arguments(parsed, &choice, &keys);
        let function = choice.function;
        let read = match &function.returns {
            Returns::Void | Returns::Scalar => {
                self.refuse_columns(parsed, &function)?;
                None
            }
            Returns::Row(relation) => {
                let relation = relation
                    .as_ref()
                    .and_then(|name| self.schema.relations.get(name));
                let shape = match relation {
                    Some(relation) => Shape::Relation(relation.clone()),
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
                let name = relation.map_or(&function.name, |relation| &relation.name);
                let window = parsed.window;
                let mut read =
                    self.read(Source::Result, shape, name, &parsed.query, window, false)?;
                read.cap(self.settings.max_rows);
                Some(read)
            }
        };
        Ok(CallPlan {
            read_only: parsed.method != Method::POST || function.volatility != Volatility::Volatile,
            arguments,
            window: if function.returns_set {
                parsed.window.capped(self.settings.max_rows)
            } else {
                Window::default()
            },
            read,
            function,
        })
    }
}

impl Planner<'_> {
    /// A function that returns a value has no columns to select, filter or order by.
    fn refuse_columns(&self, parsed: &Parsed, function: &Function) -> Result<(), RestError> {
        let shape = Shape::Columns {
            label: function.name.name.clone(),
            columns: vec![("pgrst_scalar".to_owned(), function.return_type.clone())],
        };
        let (name, query) = (&function.name, &parsed.query);
        let read = self.read(Source::Result, shape, name, query, parsed.window, false);
        read.map(drop)
    }
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
            body: parsed
                .payload
                .as_ref()
                .map(Payload::text)
                .unwrap_or_default(),
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
