//! What a SELECT lists: columns, aggregates, embedded resources.

use super::builder::Sql;
use super::predicate;
use crate::plan::embed::Embed;
use crate::plan::read::{ReadNode, Selected};
use crate::request::select::Aggregate;

pub(super) fn separate(sql: &mut Sql, first: &mut bool) {
    if !*first {
        sql.push(", ");
    }
    *first = false;
}

pub(super) fn column(sql: &mut Sql, alias: &str, selected: &Selected, lifted: bool) {
    match selected {
        Selected::Star => {
            sql.name(alias).push(".*");
        }
        Selected::CountRows { .. } if lifted => {
            sql.push("1");
        }
        Selected::CountRows { cast, .. } => cast_around(sql, cast.as_ref(), |sql| {
            sql.push("count(*)");
        }),
        Selected::Field {
            field,
            cast,
            aggregate,
            aggregate_cast,
            to_json,
            ..
        } => {
            let aggregate = aggregate.filter(|_| !lifted);
            let cast_after = aggregate_cast.as_ref().filter(|_| !lifted);
            aggregated(sql, aggregate, cast_after, |sql| {
                cast_around(sql, cast.as_ref(), |sql| match to_json {
                    None => predicate::field(sql, alias, field),
                    Some(function) => {
                        sql.object(function).push("(");
                        predicate::field(sql, alias, field);
                        sql.push(")");
                    }
                });
            });
        }
    }
    if let Some(label) = label(selected) {
        sql.push(" AS ").name(label);
    }
}

/// The name of a column in the result; none for all of the source's.
fn label(selected: &Selected) -> Option<&str> {
    match selected {
        Selected::Star => None,
        Selected::CountRows { label, .. } => Some(label.as_deref().unwrap_or("count")),
        Selected::Field {
            label, aggregate, ..
        } => label.as_deref().or(aggregate.map(Aggregate::sql)),
    }
}

/// `CAST(sum(…) AS type)`, as far as there is an aggregate and a type.
fn aggregated(
    sql: &mut Sql,
    aggregate: Option<Aggregate>,
    cast: Option<&String>,
    inner: impl FnOnce(&mut Sql),
) {
    cast_around(sql, cast, |sql| {
        if let Some(aggregate) = aggregate {
            sql.push(aggregate.sql()).push("(");
        }
        inner(sql);
        if aggregate.is_some() {
            sql.push(")");
        }
    });
}

/// The type's name is PostgreSQL's own spelling from the cache, quoted where it must be.
fn cast_around(sql: &mut Sql, cast: Option<&String>, inner: impl FnOnce(&mut Sql)) {
    match cast {
        None => inner(sql),
        Some(data_type) => {
            sql.push("CAST(");
            inner(sql);
            sql.push(" AS ").push(data_type).push(")");
        }
    }
}

/// What an embedded resource adds to its parent's columns.
pub(super) fn embedded_columns(
    sql: &mut Sql,
    embed: &Embed,
    alias: &str,
    first: &mut bool,
    lifted: bool,
) {
    if embed.spread {
        for output in outputs(&embed.node) {
            separate(sql, first);
            match &output.label {
                Some(label) => {
                    let aggregate = output.aggregate.filter(|_| !lifted);
                    let cast = output.cast.filter(|_| !lifted);
                    aggregated(sql, aggregate, cast, |sql| {
                        sql.column(alias, label);
                    });
                    sql.push(" AS ").name(label)
                }
                None => sql.name(alias).push(".*"),
            };
        }
        return;
    }
    if is_empty(&embed.node) {
        return;
    }
    separate(sql, first);
    if embed.to_one {
        sql.push("row_to_json(").name(alias).push(".*)");
    } else {
        sql.push("COALESCE(").column(alias, alias).push(", '[]')");
    }
    sql.push(" AS ").name(&embed.label);
}

/// `clients()`: the resource only filters.
pub(super) fn is_empty(node: &ReadNode) -> bool {
    node.select.is_empty() && node.embeds.iter().all(|embed| is_empty(&embed.node))
}

/// A column that a node has for the one around it.
pub(super) struct Output<'a> {
    /// None: all columns of the source.
    pub(super) label: Option<String>,
    /// What the node around it does with the value, and how it casts that.
    pub(super) aggregate: Option<Aggregate>,
    cast: Option<&'a String>,
}

/// The columns of a node that is spread.
pub(super) fn outputs(node: &ReadNode) -> Vec<Output<'_>> {
    let mut outputs: Vec<Output<'_>> = Vec::new();
    for selected in &node.select {
        let (aggregate, cast) = match selected {
            Selected::Star => (None, None),
            Selected::CountRows { cast, .. } => (Some(Aggregate::Count), cast.as_ref()),
            Selected::Field {
                aggregate,
                aggregate_cast,
                ..
            } => (*aggregate, aggregate_cast.as_ref()),
        };
        outputs.push(Output {
            label: label(selected).map(str::to_owned),
            aggregate,
            cast,
        });
    }
    if outputs.iter().any(|output| output.label.is_none()) {
        outputs.retain(|output| output.label.is_none());
        outputs.truncate(1);
        return outputs;
    }
    for embed in &node.embeds {
        if embed.spread {
            outputs.extend(self::outputs(&embed.node));
        } else if !is_empty(&embed.node) {
            outputs.push(Output {
                label: Some(embed.label.clone()),
                aggregate: None,
                cast: None,
            });
        }
    }
    outputs
}
