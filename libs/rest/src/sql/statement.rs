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
    /// A statement of fixed text.
    pub(crate) fn fixed(text: &str, values: impl IntoIterator<Item = String>) -> Self {
        Self {
            text: text.to_owned(),
            parameters: values.into_iter().map(Parameter::Text).collect(),
        }
    }

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
    Value {
        strip_nulls: bool,
    },
    /// The values of a function that returns a set of them.
    Values {
        strip_nulls: bool,
    },
    /// The one value of a function as it is.
    Raw,
    /// What an aggregate makes of the rows, which are of the type of a relation, or of any.
    Handler {
        function: ObjectName,
        row_type: Option<ObjectName>,
        /// The rows are values of a function, and the aggregate takes the values themselves.
        takes_value: bool,
    },
}

const HEAD: &str = "nullif(current_setting('response.headers', true), '') AS response_headers, \
    nullif(current_setting('response.status', true), '') AS response_status";

fn body(sql: &mut Sql, format: &BodyFormat) {
    match format {
        BodyFormat::Handler {
            function,
            row_type,
            takes_value,
        } => {
            sql.object(function).push("(_postgrest_t");
            if *takes_value {
                sql.push(".pgrst_scalar");
            }
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
        BodyFormat::Value { strip_nulls: false } => {
            "coalesce(json_agg(_postgrest_t.pgrst_scalar)->0, 'null')"
        }
        BodyFormat::Value { strip_nulls: true } => {
            "coalesce(json_strip_nulls(json_agg(_postgrest_t.pgrst_scalar)->0), 'null')"
        }
        BodyFormat::Values { strip_nulls: false } => {
            "coalesce(json_agg(_postgrest_t.pgrst_scalar), '[]')"
        }
        BodyFormat::Values { strip_nulls: true } => {
            "coalesce(json_strip_nulls(json_agg(_postgrest_t.pgrst_scalar)), '[]')"
        }
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

/// Name of the part that the body is made from.
const ROWS: &str = "pgrst_rows";

/// The outer SELECT is under construction: what comes around the row of counts and body.
struct Answer {
    sql: Sql,
    /// Largest body in bytes.
    cap: Option<u64>,
}

impl Answer {
    /// A statement that begins with `WITH pgrst_source AS (first)`.
    fn begin(cap: Option<u64>, first: impl FnOnce(&mut Sql)) -> Self {
        let mut sql = Sql::new();
        sql.push("WITH pgrst_source AS (");
        first(&mut sql);
        sql.push(")");
        Self { sql, cap }
    }

    /// One more part.
    fn part(&mut self, name: &str, write: impl FnOnce(&mut Sql)) {
        self.sql.push(", ").push(name).push(" AS (");
        write(&mut self.sql);
        self.sql.push(")");
    }

    /// The row. `counts` are the total and the number of rows here, `extras` the number of inserted
    /// rows and the location; `from` is the part whose rows make the body.
    fn finish(
        mut self,
        counts: (&str, &str),
        format: &BodyFormat,
        extras: impl FnOnce(&mut Sql),
        from: &str,
    ) -> Statement {
        if *format == BodyFormat::Csv && from != ROWS {
            self.part(ROWS, |sql| {
                sql.push("SELECT * FROM ").push(from);
            });
        }
        let sql = &mut self.sql;
        if let Some(cap) = self.cap {
            sql.push(" SELECT total, page_total, CASE WHEN pg_column_size(body) <= ");
            sql.push(&cap.to_string());
            sql.push(" THEN body END AS body, response_headers, response_status, inserted, ");
            sql.push("location, pg_column_size(body) AS size FROM (");
        }
        sql.push(" SELECT ").push(counts.0).push(" AS total, ");
        sql.push(counts.1).push(" AS page_total, ");
        body(sql, format);
        sql.push(HEAD).push(", ");
        extras(sql);
        sql.push(" FROM (SELECT * FROM ")
            .push(from)
            .push(") _postgrest_t");
        if self.cap.is_some() {
            sql.push(") pgrst_answer");
        }
        self.sql.into()
    }
}

fn no_extras(sql: &mut Sql) {
    sql.push("null::text AS inserted, null::text AS location");
}

/// A read of a relation.
pub(crate) fn read_statement(
    node: &ReadNode,
    format: &BodyFormat,
    total: Total,
    cap: Option<u64>,
) -> Statement {
    let mut answer = Answer::begin(cap, |sql| read::select(sql, node));
    let limit = match total {
        Total::Unknown => None,
        Total::Exact => Some(None),
        Total::UpTo(limit) => Some(Some(limit)),
    };
    let total = match limit {
        None => "null::bigint",
        Some(limit) => {
            answer.part("pgrst_source_count", |sql| {
                read::count_rows(sql, node, limit);
            });
            "(SELECT count(*) FROM pgrst_source_count)"
        }
    };
    answer.finish((total, "count(*)"), format, no_extras, "pgrst_source")
}

/// A write.
pub(crate) fn mutate_statement(
    plan: &MutatePlan,
    format: &BodyFormat,
    cap: Option<u64>,
) -> Statement {
    let mut answer = Answer::begin(cap, |sql| mutate::write(sql, plan));
    // One of the outer columns must be an aggregate, so that one row comes back for no rows too.
    let (format, from, written) = match &plan.read {
        Some(node) => {
            answer.part(ROWS, |sql| read::select(sql, node));
            (format, ROWS, "(SELECT count(*) FROM pgrst_source)")
        }
        None => (&BodyFormat::Empty, "pgrst_source", "count(*)"),
    };
    let counts = matches!(&plan.action, Action::Insert(insert) if insert.conflict.is_some());
    let extras = |sql: &mut Sql| {
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
    };
    answer.finish(("null::bigint", written), format, extras, from)
}

/// A function call.
pub(crate) fn call_statement(
    plan: &CallPlan,
    format: &BodyFormat,
    count: bool,
    cap: Option<u64>,
) -> Statement {
    let mut answer = Answer::begin(cap, |sql| call::write(sql, plan));
    if plan.read.is_none() && !plan.window.is_whole() {
        answer.part(ROWS, |sql| {
            sql.push("SELECT * FROM pgrst_source");
            read::window_clause(sql, plan.window);
        });
    }
    if let Some(node) = &plan.read {
        answer.part(ROWS, |sql| read::select(sql, node));
        if count {
            answer.part("pgrst_source_count", |sql| {
                read::count_rows(sql, node, None);
            });
        }
    }
    let total = match (&plan.read, count) {
        (_, false) => "null::bigint",
        (None, true) => "(SELECT count(*) FROM pgrst_source)",
        (Some(_), true) => "(SELECT count(*) FROM pgrst_source_count)",
    };
    let from = if plan.read.is_some() || !plan.window.is_whole() {
        ROWS
    } else {
        "pgrst_source"
    };
    // What returns one row has one, even if a filter leaves nothing of it.
    let returned = if plan.returns_one() {
        "greatest(count(*), 1)"
    } else {
        "count(*)"
    };
    answer.finish((total, returned), format, no_extras, from)
}

/// The planner's estimate of how many rows there are in all.
pub(crate) fn explain_count(node: &ReadNode) -> Statement {
    let mut sql = Sql::new();
    sql.push("EXPLAIN (FORMAT JSON) ");
    read::count_rows(&mut sql, node, None);
    sql.into()
}
