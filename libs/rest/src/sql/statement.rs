//! The outer statement: one row with the counts, the body and what the database wants in the
//! answer.

use super::builder::{Parameter, Sql};
use super::{call, mutate, read};
use crate::plan::call::CallPlan;
use crate::plan::mutate::{Action, MutatePlan};
use crate::plan::read::ReadNode;
use crate::request::media::PlanFormat;
use crate::schema::ObjectName;

/// A statement that is ready to run.
#[derive(Debug, Clone)]
pub(crate) struct Statement {
    pub(crate) text: String,
    pub(crate) parameters: Vec<Parameter>,
}

impl Statement {
    /// The statement that shows how this one is executed.
    pub(crate) fn explained(mut self, plan: &PlanFormat) -> Self {
        let mut options = vec![if plan.json {
            "FORMAT JSON"
        } else {
            "FORMAT TEXT"
        }];
        options.extend(&plan.options);
        self.text = format!("EXPLAIN ({}) {}", options.join(", "), self.text);
        self
    }
}

impl From<Sql> for Statement {
    fn from(sql: Sql) -> Self {
        let (text, parameters) = sql.finish();
        Self { text, parameters }
    }
}

/// How PostgreSQL builds the body.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum BodyFormat {
    /// None at all.
    Empty,
    Array {
        strip_nulls: bool,
    },
    Object {
        strip_nulls: bool,
    },
    Csv,
    GeoJson,
    /// The one value of a function.
    Value,
    /// The values of a function that returns a set of them.
    Values,
    /// The one value of a function as it is.
    Raw,
    /// What an aggregate makes of the rows, which are of the type of a relation, or of any.
    Handler {
        function: ObjectName,
        row_type: Option<ObjectName>,
    },
}

const HEAD: &str = "nullif(current_setting('response.headers', true), '') AS response_headers, \
    nullif(current_setting('response.status', true), '') AS response_status";

fn body(sql: &mut Sql, format: &BodyFormat) {
    match format {
        BodyFormat::Handler { function, row_type } => {
            sql.object(function).push("(_postgrest_t");
            if let Some(row_type) = row_type {
                sql.push("::").object(row_type);
            }
            sql.push(")");
        }
        builtin => {
            sql.push(builtin_body(builtin));
        }
    }
    sql.push(" AS body, ");
}

const fn builtin_body(format: &BodyFormat) -> &'static str {
    match format {
        BodyFormat::Empty | BodyFormat::Handler { .. } => "null::json",
        BodyFormat::Array { strip_nulls: false } => "coalesce(json_agg(_postgrest_t), '[]')",
        BodyFormat::Array { strip_nulls: true } => {
            "coalesce(json_strip_nulls(json_agg(_postgrest_t)), '[]')"
        }
        BodyFormat::Object { strip_nulls: false } => "coalesce(json_agg(_postgrest_t)->0, 'null')",
        BodyFormat::Object { strip_nulls: true } => {
            "coalesce(json_strip_nulls(json_agg(_postgrest_t)->0), 'null')"
        }
        BodyFormat::Csv => {
            "(SELECT coalesce(string_agg(k, ','), '') FROM (SELECT json_object_keys(r) AS k FROM \
             (SELECT row_to_json(h) AS r FROM pgrst_rows AS h LIMIT 1) s) a) || E'\\n' || \
             coalesce(string_agg(substring(_postgrest_t::text, 2, \
             length(_postgrest_t::text) - 2), E'\\n'), '')"
        }
        BodyFormat::GeoJson => {
            "json_build_object('type', 'FeatureCollection', 'features', \
             coalesce(json_agg(ST_AsGeoJSON(_postgrest_t)::json), '[]'))"
        }
        BodyFormat::Value => "coalesce(json_agg(_postgrest_t.pgrst_scalar)->0, 'null')",
        BodyFormat::Values => "coalesce(json_agg(_postgrest_t.pgrst_scalar), '[]')",
        BodyFormat::Raw => "(array_agg(_postgrest_t.pgrst_scalar))[1]",
    }
}

/// How many rows there are in all: nothing, all counted, or counted up to a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Total {
    Unknown,
    Exact,
    UpTo(u64),
}

/// A read of a relation.
pub(crate) fn read_statement(node: &ReadNode, format: &BodyFormat, total: Total) -> Statement {
    let mut sql = Sql::new();
    let from = if *format == BodyFormat::Csv {
        "pgrst_rows"
    } else {
        "pgrst_source"
    };
    sql.push("WITH ").push(from).push(" AS (");
    read::select(&mut sql, node);
    sql.push(")");
    let limit = match total {
        Total::Unknown => None,
        Total::Exact => Some(None),
        Total::UpTo(limit) => Some(Some(limit)),
    };
    if let Some(limit) = limit {
        sql.push(", pgrst_source_count AS (");
        read::count_rows(&mut sql, node, limit);
        sql.push(") SELECT (SELECT count(*) FROM pgrst_source_count) AS total, ");
    } else {
        sql.push(" SELECT null::bigint AS total, ");
    }
    sql.push("count(*) AS page_total, ");
    body(&mut sql, format);
    sql.push(HEAD)
        .push(", null::text AS inserted, null::text AS location FROM (SELECT * FROM ");
    sql.push(from).push(") _postgrest_t");
    sql.into()
}

/// A write.
pub(crate) fn mutate_statement(plan: &MutatePlan, format: &BodyFormat) -> Statement {
    let mut sql = Sql::new();
    sql.push("WITH pgrst_source AS (");
    mutate::write(&mut sql, plan);
    sql.push(")");
    match &plan.read {
        Some(node) => {
            sql.push(", pgrst_rows AS (");
            read::select(&mut sql, node);
            sql.push(") SELECT null::bigint AS total, ");
            sql.push("(SELECT count(*) FROM pgrst_source) AS page_total, ");
            body(&mut sql, format);
        }
        None => {
            sql.push(" SELECT null::bigint AS total, count(*) AS page_total, null::json AS body, ");
        }
    }
    sql.push(HEAD).push(", ");
    let counts = matches!(&plan.action, Action::Insert(insert) if insert.conflict.is_some());
    sql.push(if counts {
        "nullif(current_setting('pgrst.inserted', true), '') AS inserted, "
    } else {
        "null::text AS inserted, "
    });
    if plan.location && !plan.target.primary_key.is_empty() {
        sql.push("CASE WHEN count(*) = 1 THEN (SELECT json_build_array(");
        sql.list(", ", &plan.target.primary_key, |sql, column| {
            sql.push("CAST(").column("l", column).push(" AS text)");
        });
        sql.push(")::text FROM pgrst_source AS l LIMIT 1) END AS location");
    } else {
        sql.push("null::text AS location");
    }
    sql.push(" FROM (SELECT * FROM ");
    sql.push(if plan.read.is_some() {
        "pgrst_rows"
    } else {
        "pgrst_source"
    });
    sql.push(") _postgrest_t");
    sql.into()
}

/// A function call.
pub(crate) fn call_statement(plan: &CallPlan, format: &BodyFormat, count: bool) -> Statement {
    let mut sql = Sql::new();
    sql.push("WITH pgrst_source AS (");
    call::write(&mut sql, plan);
    sql.push(")");
    if let Some(node) = &plan.read {
        sql.push(", pgrst_rows AS (");
        read::select(&mut sql, node);
        sql.push(")");
    }
    sql.push(" SELECT ");
    match (&plan.read, count) {
        (_, false) => sql.push("null::bigint"),
        (None, true) => sql.push("(SELECT count(*) FROM pgrst_source)"),
        (Some(node), true) => {
            sql.push("(SELECT count(*) FROM (");
            read::count_rows(&mut sql, node, None);
            sql.push(") pgrst_count)")
        }
    };
    sql.push(" AS total, count(*) AS page_total, ");
    body(&mut sql, format);
    sql.push(HEAD)
        .push(", null::text AS inserted, null::text AS location FROM (SELECT * FROM ");
    sql.push(if plan.read.is_some() {
        "pgrst_rows"
    } else {
        "pgrst_source"
    });
    sql.push(") _postgrest_t");
    sql.into()
}

/// The planner's estimate of how many rows there are in all.
pub(crate) fn explain_count(node: &ReadNode) -> Statement {
    let mut sql = Sql::new();
    sql.push("EXPLAIN (FORMAT JSON) ");
    read::count_rows(&mut sql, node, None);
    sql.into()
}
