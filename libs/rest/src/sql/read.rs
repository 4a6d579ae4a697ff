//! SELECT statements for trees of resources.

use super::builder::Sql;
use super::columns::{column, embedded_columns, is_empty, outputs, separate};
use super::predicate::{self, Scope};
use crate::plan::PlannedField;
use crate::plan::embed::{Embed, Link};
use crate::plan::read::{ReadNode, Selected, Source};
use crate::request::range::Window;

/// Name of the statement's first part.
pub(super) const RESULT: &str = "pgrst_source";

/// The alias under which the rows of a root node are known.
pub(super) fn root_alias(node: &ReadNode) -> String {
    match &node.source {
        Source::Relation(name) => name.name.clone(),
        Source::Result | Source::Computed(_) => RESULT.to_owned(),
    }
}

/// The whole SELECT of a root node.
pub(super) fn select(sql: &mut Sql, node: &ReadNode) {
    select_from(sql, node, &root_alias(node), None, false);
}

/// `SELECT 1 …` of all rows that the node would have without its window. `limit` stops early.
pub(super) fn count_rows(sql: &mut Sql, node: &ReadNode, limit: Option<u64>) {
    let alias = root_alias(node);
    let embeds: Vec<(String, bool)> = aliases(sql, node);
    sql.push("SELECT 1 FROM ");
    source(sql, node, &alias, None);
    if node.needs_embeds_to_count() {
        joins(sql, node, &alias, &embeds);
    }
    let scope = Scope {
        alias: &alias,
        embeds: &embeds,
    };
    predicate::filter_clause(sql, &scope, &node.predicates);
    if let Some(limit) = limit {
        sql.push(" LIMIT ").value(limit.to_string());
    }
}

fn aliases(sql: &mut Sql, node: &ReadNode) -> Vec<(String, bool)> {
    node.embeds
        .iter()
        .map(|embed| (sql.fresh_alias(), embed.to_one))
        .collect()
}

/// `lifted`: the columns are spread in the parent, which also aggregates them.
fn select_from(
    sql: &mut Sql,
    node: &ReadNode,
    alias: &str,
    parent: Option<(&str, &Link)>,
    lifted: bool,
) {
    let embeds = aliases(sql, node);
    sql.push("SELECT ");
    let mut first = true;
    for selected in &node.select {
        separate(sql, &mut first);
        column(sql, alias, selected, lifted);
    }
    for (embed, (embed_alias, _)) in node.embeds.iter().zip(&embeds) {
        embedded_columns(sql, embed, embed_alias, &mut first, lifted);
    }
    sql.push(" FROM ");
    source(sql, node, alias, parent);
    joins(sql, node, alias, &embeds);
    let scope = Scope {
        alias,
        embeds: &embeds,
    };
    let joined = parent.is_some_and(|(parent, link)| join_condition(sql, link, parent, alias));
    for (index, condition) in node.predicates.iter().enumerate() {
        sql.push(if joined || index > 0 {
            " AND "
        } else {
            " WHERE "
        });
        predicate::write(sql, &scope, condition);
    }
    if !lifted {
        group_clause(sql, node, alias, &embeds);
    }
    predicate::order_clause(sql, &scope, &node.order, |sql, index, field| {
        if let Some(embed) = node.embeds.get(index) {
            related_field(sql, embed, field, alias);
        }
    });
    window_clause(sql, node.window);
}

fn source(sql: &mut Sql, node: &ReadNode, alias: &str, parent: Option<(&str, &Link)>) {
    match &node.source {
        Source::Relation(name) => {
            sql.object(name);
            if parent.is_some() {
                sql.push(" AS ").name(alias);
            }
        }
        Source::Result => {
            sql.push(RESULT);
        }
        Source::Computed(function) => {
            sql.object(function).push("(");
            if let Some((parent, link)) = parent {
                match link {
                    Link::Computed {
                        row_type: Some(row_type),
                    } => {
                        sql.push("CAST(ROW(").name(parent).push(".*) AS ");
                        sql.object(row_type).push(")");
                    }
                    _ => {
                        sql.name(parent);
                    }
                }
            }
            sql.push(") AS ").name(alias);
        }
    }
    if let Some((_, Link::Junction { table, .. })) = parent {
        sql.push(", ")
            .object(table)
            .push(" AS ")
            .name(&junction_alias(alias));
    }
}

fn junction_alias(alias: &str) -> String {
    format!("{alias}_via")
}

/// ` WHERE` with the columns that tie a child to its parent. False if there are none.
fn join_condition(sql: &mut Sql, link: &Link, parent: &str, alias: &str) -> bool {
    let mut first = true;
    let mut equal = |sql: &mut Sql, left: (&str, &str), right: (&str, &str)| {
        sql.push(if first { " WHERE " } else { " AND " });
        first = false;
        sql.column(left.0, left.1)
            .push(" = ")
            .column(right.0, right.1);
    };
    match link {
        Link::Columns(pairs) => {
            for (of_parent, of_child) in pairs {
                equal(sql, (alias, of_child), (parent, of_parent));
            }
        }
        Link::Junction {
            parent: parent_pairs,
            child: child_pairs,
            ..
        } => {
            let via = junction_alias(alias);
            for (of_parent, of_junction) in parent_pairs {
                equal(sql, (&via, of_junction), (parent, of_parent));
            }
            for (of_child, of_junction) in child_pairs {
                equal(sql, (alias, of_child), (&via, of_junction));
            }
        }
        Link::Computed { .. } => {}
    }
    !first
}

/// The value of a field of the one child row, which need not be among the selected ones.
fn related_field(sql: &mut Sql, embed: &Embed, field: &PlannedField, parent: &str) {
    let child = sql.fresh_alias();
    sql.push("(SELECT ");
    predicate::field(sql, &child, field);
    sql.push(" FROM ");
    source(sql, &embed.node, &child, Some((parent, &embed.link)));
    let joined = join_condition(sql, &embed.link, parent, &child);
    let scope = Scope {
        alias: &child,
        embeds: &[],
    };
    let own = embed.node.predicates.iter().filter(|p| !p.mentions_embed());
    for (index, condition) in own.enumerate() {
        sql.push(if joined || index > 0 {
            " AND "
        } else {
            " WHERE "
        });
        predicate::write(sql, &scope, condition);
    }
    sql.push(" LIMIT 1)");
}

/// One lateral join for each embedded resource.
fn joins(sql: &mut Sql, node: &ReadNode, alias: &str, embeds: &[(String, bool)]) {
    for (embed, (embed_alias, _)) in node.embeds.iter().zip(embeds) {
        let rows = sql.fresh_alias();
        let link = Some((alias, &embed.link));
        sql.push(if embed.inner { " INNER" } else { " LEFT" });
        sql.push(" JOIN LATERAL (");
        if embed.to_one {
            select_from(sql, &embed.node, &rows, link, embed.spread);
            sql.push(") AS ").name(embed_alias).push(" ON TRUE");
        } else {
            sql.push("SELECT json_agg(")
                .name(embed_alias)
                .push(") AS ")
                .name(embed_alias);
            sql.push(" FROM (");
            select_from(sql, &embed.node, &rows, link, false);
            sql.push(") AS ")
                .name(embed_alias)
                .push(") AS ")
                .name(embed_alias);
            if embed.inner {
                sql.push(" ON ")
                    .column(embed_alias, embed_alias)
                    .push(" IS NOT NULL");
            } else {
                sql.push(" ON TRUE");
            }
        }
    }
}

/// With an aggregate among the columns, the others are what it is grouped by.
fn group_clause(sql: &mut Sql, node: &ReadNode, alias: &str, embeds: &[(String, bool)]) {
    let lifts =
        |embed: &Embed| embed.spread && outputs(&embed.node).iter().any(|o| o.aggregate.is_some());
    if !node.select.iter().any(Selected::is_aggregate) && !node.embeds.iter().any(lifts) {
        return;
    }
    let mut first = true;
    let mut begin = |sql: &mut Sql| {
        sql.push(if first { " GROUP BY " } else { ", " });
        first = false;
    };
    // Columns are named by their place in the list: a JSON path has parameters in it, and the
    // same path with other parameters would not be the same expression.
    for (index, selected) in node.select.iter().enumerate() {
        match selected {
            Selected::Field {
                aggregate: None, ..
            } => {
                begin(sql);
                sql.push(&(index + 1).to_string());
            }
            Selected::Star => {
                begin(sql);
                sql.name(alias).push(".*");
            }
            _ => {}
        }
    }
    let mut position = node.select.len();
    for (embed, (embed_alias, to_one)) in node.embeds.iter().zip(embeds) {
        if embed.spread {
            for output in outputs(&embed.node) {
                position += 1;
                if output.aggregate.is_some() {
                    continue;
                }
                begin(sql);
                match output.label {
                    Some(_) => sql.push(&position.to_string()),
                    None => sql.name(embed_alias).push(".*"),
                };
            }
        } else if !is_empty(&embed.node) {
            begin(sql);
            if *to_one {
                sql.name(embed_alias).push(".*");
            } else {
                sql.column(embed_alias, embed_alias).push("::text");
            }
        }
    }
}

/// The limit is a parsed number and stands in the text: as a parameter, the planner of a prepared
/// statement could not know it, and would plan anew for every request.
pub(super) fn window_clause(sql: &mut Sql, window: Window) {
    if let Some(limit) = window.limit {
        sql.push(" LIMIT ").push(&limit.to_string());
    }
    if window.offset > 0 {
        sql.push(" OFFSET ").value(window.offset.to_string());
    }
}
