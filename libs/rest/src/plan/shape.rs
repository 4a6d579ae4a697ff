//! Which columns a source of rows has.

use std::sync::Arc;

use crate::error::RestError;
use crate::schema::{Column, Relation, SYSTEM_COLUMNS, similar};

/// The columns of a source.
#[derive(Debug, Clone)]
pub(crate) enum Shape {
    Relation(Arc<Relation>),
    /// Result columns of a function: name and type.
    Columns {
        label: String,
        columns: Vec<(String, String)>,
    },
    /// A single value, or a record whose columns only the statement knows.
    Opaque,
}

/// What is known of a column.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Found<'a> {
    /// Its value is JSON already.
    pub(crate) is_json: bool,
    /// The relation's column, if it is one.
    pub(crate) column: Option<&'a Column>,
}

impl Shape {
    /// Looks for a column.
    pub(crate) fn find(&self, name: &str) -> Result<Found<'_>, RestError> {
        match self {
            Self::Relation(relation) => {
                if let Some(column) = relation.column(name) {
                    return Ok(Found {
                        is_json: column.is_json(),
                        column: Some(column),
                    });
                }
                if relation.computed.contains_key(name) || SYSTEM_COLUMNS.contains(&name) {
                    return Ok(Found::default());
                }
                let label = &relation.name.name;
                let names = relation.columns.iter().map(|column| column.name.as_str());
                Err(undefined(label, name, names))
            }
            Self::Columns { label, columns } => {
                if let Some((_, data_type)) = columns.iter().find(|(known, _)| known == name) {
                    return Ok(Found {
                        is_json: matches!(data_type.as_str(), "json" | "jsonb"),
                        column: None,
                    });
                }
                let names = columns.iter().map(|(name, _)| name.as_str());
                Err(undefined(label, name, names))
            }
            Self::Opaque => Err(RestError::undefined_column("pgrst_call", name, None)),
        }
    }
}

fn undefined<'a>(label: &str, name: &str, known: impl Iterator<Item = &'a str>) -> RestError {
    let spelt = |near: &&str| format!("the column \"{label}.{near}\"");
    let near: Vec<String> = similar::columns(name, known).iter().map(spelt).collect();
    // PostgreSQL is silent when more than two are equally near.
    let hint = matches!(near.len(), 1 | 2)
        .then(|| format!("Perhaps you meant to reference {}.", near.join(" or ")));
    RestError::undefined_column(label, name, hint)
}
