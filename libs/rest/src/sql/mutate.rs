//! INSERT, UPDATE and DELETE.

use std::collections::BTreeSet;

use super::builder::{Parameter, Sql};
use super::predicate::{self, Scope};
use super::read;
use crate::plan::mutate::{Action, Change, Insert, MutatePlan, Returning, Selection, Values};
use crate::request::preferences::Resolution;
use crate::schema::Relation;

/// Counter of inserted rows, kept in the transaction's settings, because RETURNING cannot tell an
/// inserted row from an updated one in every kind of view.
const COUNT_UP: &str = "set_config('pgrst.inserted', \
    (coalesce(nullif(current_setting('pgrst.inserted', true), '')::int, 0) + 1)::text, true) <> '0'";
const COUNT_DOWN: &str = "set_config('pgrst.inserted', \
    (coalesce(nullif(current_setting('pgrst.inserted', true), '')::int, 0) - 1)::text, true) <> '-1'";

const BODY: &str = "pgrst_body";

pub(super) fn write(sql: &mut Sql, plan: &MutatePlan) {
    match &plan.action {
        Action::Insert(insert) => write_insert(sql, plan, insert),
        Action::Update(change) => write_update(sql, plan, change),
        Action::Delete(rows) => write_delete(sql, plan, rows),
    }
}

fn write_insert(sql: &mut Sql, plan: &MutatePlan, insert: &Insert) {
    let columns = &insert.values.columns;
    sql.push("INSERT INTO ").object(&plan.target.name);
    if !columns.is_empty() {
        sql.push("(").list(", ", columns, |sql, column| {
            sql.name(&column.name);
        });
        sql.push(")");
    }
    sql.push(" SELECT ").list(", ", columns, |sql, column| {
        sql.column(BODY, &column.name);
    });
    sql.push(" ");
    rows_of_body(sql, &insert.values, false);
    let counts = matches!(insert.conflict, Some((Resolution::Merge, _)));
    let scope = Scope {
        alias: BODY,
        embeds: &[],
    };
    predicate::filter_clause(sql, &scope, &insert.must_match);
    if counts {
        sql.push(if insert.must_match.is_empty() {
            " WHERE "
        } else {
            " AND "
        });
        sql.push(COUNT_UP);
    }
    if let Some((resolution, key)) = &insert.conflict {
        sql.push(" ON CONFLICT (").list(", ", key, |sql, column| {
            sql.name(column);
        });
        sql.push(")");
        if *resolution == Resolution::Ignore || columns.is_empty() {
            sql.push(" DO NOTHING");
        } else {
            sql.push(" DO UPDATE SET ")
                .list(", ", columns, |sql, column| {
                    sql.name(&column.name)
                        .push(" = EXCLUDED.")
                        .name(&column.name);
                });
            sql.push(" WHERE ").push(COUNT_DOWN);
        }
    }
    returning(sql, &plan.target, &plan.returning);
}

fn write_update(sql: &mut Sql, plan: &MutatePlan, change: &Change) {
    let columns = &change.values.columns;
    let alias = &plan.target.name.name;
    if columns.is_empty() {
        // Nothing to set: no row is touched, but the result has its columns.
        sql.push("SELECT ");
        returned(sql, &plan.target, &plan.returning);
        sql.push(" FROM ")
            .object(&plan.target.name)
            .push(" WHERE false");
        return;
    }
    let set = |sql: &mut Sql| {
        sql.push("UPDATE ").object(&plan.target.name).push(" SET ");
        sql.list(", ", columns, |sql, column| {
            sql.name(&column.name)
                .push(" = ")
                .column(BODY, &column.name);
        });
        sql.push(" ");
    };
    if change.rows.window.is_whole() {
        set(sql);
        rows_of_body(sql, &change.values, true);
        let scope = Scope { alias, embeds: &[] };
        predicate::filter_clause(sql, &scope, &change.rows.predicates);
    } else {
        affected_rows(sql, &plan.target, &change.rows);
        set(sql);
        rows_of_body(sql, &change.values, true);
        sql.push(", pgrst_affected_rows WHERE ");
        same_rows(sql, &plan.target, &change.rows);
    }
    returning(sql, &plan.target, &plan.returning);
}

fn write_delete(sql: &mut Sql, plan: &MutatePlan, rows: &Selection) {
    let alias = &plan.target.name.name;
    if rows.window.is_whole() {
        sql.push("DELETE FROM ").object(&plan.target.name);
        let scope = Scope { alias, embeds: &[] };
        predicate::filter_clause(sql, &scope, &rows.predicates);
    } else {
        affected_rows(sql, &plan.target, rows);
        sql.push("DELETE FROM ")
            .object(&plan.target.name)
            .push(" USING pgrst_affected_rows WHERE ");
        same_rows(sql, &plan.target, rows);
    }
    returning(sql, &plan.target, &plan.returning);
}

/// The columns that tell the rows of a limited write: its ordering's. If they are not unique, more
/// rows are written than the limit says, and the write is taken back.
fn identity(rows: &Selection) -> BTreeSet<&str> {
    let order = rows.order.iter();
    order.map(|ordering| ordering.field.name.as_str()).collect()
}

fn affected_rows(sql: &mut Sql, target: &Relation, rows: &Selection) {
    let alias = &target.name.name;
    sql.push("WITH pgrst_affected_rows AS (SELECT ");
    sql.list(", ", identity(rows), |sql, column| {
        sql.column(alias, column);
    });
    sql.push(" FROM ").object(&target.name);
    let scope = Scope { alias, embeds: &[] };
    predicate::filter_clause(sql, &scope, &rows.predicates);
    predicate::order_clause(sql, &scope, &rows.order, |_, _, _| {});
    read::window_clause(sql, rows.window);
    sql.push(") ");
}

fn same_rows(sql: &mut Sql, target: &Relation, rows: &Selection) {
    sql.list(" AND ", identity(rows), |sql, column| {
        sql.column(&target.name.name, column).push(" = ");
        sql.column("pgrst_affected_rows", column);
    });
}

/// `FROM … pgrst_body`: the rows of the JSON body as typed columns.
pub(super) fn rows_of_body(sql: &mut Sql, values: &Values, only_first: bool) {
    sql.push("FROM (SELECT CAST(")
        .parameter(Parameter::Body(values.body.clone()));
    let defaults: Vec<_> = values
        .columns
        .iter()
        .filter(|c| c.default.is_some())
        .collect();
    let with_defaults = values.defaults && !defaults.is_empty();
    sql.push(if with_defaults {
        " AS jsonb)"
    } else {
        " AS json)"
    });
    sql.push(" AS json_data) pgrst_payload, ");
    if with_defaults {
        let object = |sql: &mut Sql| {
            sql.push("jsonb_build_object(")
                .list(", ", &defaults, |sql, column| {
                    let expression = column.default.as_deref().unwrap_or("null");
                    sql.push("CAST(")
                        .value(column.name.as_str())
                        .push(" AS text), ");
                    // The expression is PostgreSQL's own text of the column's default.
                    sql.push(expression);
                });
            sql.push(")");
        };
        sql.push("LATERAL (SELECT ");
        if values.is_object {
            object(sql);
            sql.push(" || pgrst_payload.json_data AS val) pgrst_json_defs, ");
        } else {
            sql.push("jsonb_agg(");
            object(sql);
            sql.push(" || elem) AS val FROM jsonb_array_elements(pgrst_payload.json_data) elem) ");
            sql.push("pgrst_json_defs, ");
        }
    }
    let data = if with_defaults {
        "pgrst_json_defs.val"
    } else {
        "pgrst_payload.json_data"
    };
    let prefix = if with_defaults { "jsonb" } else { "json" };
    sql.push("LATERAL (SELECT ")
        .list(", ", &values.columns, |sql, column| {
            match &column.from_json {
                None => sql.name(&column.name),
                Some(function) => sql
                    .object(function)
                    .push("(")
                    .name(&column.name)
                    .push(") AS ")
                    .name(&column.name),
            };
        });
    sql.push(" FROM ").push(prefix);
    if values.columns.is_empty() {
        // As many rows as the array has elements, each without a column.
        sql.push("_array_elements(");
        if values.is_object {
            sql.push(prefix).push("_build_array(").push(data).push(")");
        } else {
            sql.push(data);
        }
        sql.push(") _");
    } else {
        sql.push(if values.is_object {
            "_to_record("
        } else {
            "_to_recordset("
        });
        sql.push(data).push(") AS _(");
        sql.list(", ", &values.columns, |sql, column| {
            let read = column.from_json.is_none();
            sql.name(&column.name)
                .push(" ")
                .push(if read { &column.full_type } else { "json" });
        });
        sql.push(")");
    }
    sql.push(if only_first { " LIMIT 1) " } else { ") " })
        .push(BODY);
}

fn returning(sql: &mut Sql, target: &Relation, returning: &Returning) {
    sql.push(" RETURNING ");
    returned(sql, target, returning);
}

fn returned(sql: &mut Sql, target: &Relation, returning: &Returning) {
    let alias = &target.name.name;
    match returning {
        Returning::Nothing => {
            sql.push("1");
        }
        Returning::All(computed) => {
            sql.name(alias).push(".*");
            for name in computed {
                sql.push(", ").column(alias, name);
            }
        }
        Returning::Columns(names) => {
            sql.list(", ", names, |sql, name| {
                sql.column(alias, name);
            });
        }
    }
}
