//! The rules for raw SQL: what is admitted, how parameters are read, how results are told.

use std::fmt::Write;

use ingot_bus::Change;
use ingot_http::{ApiError, sql_timeout};
use ingot_project::AdminPools;
use ingot_sql_guard::{Guard, Profile, Refusal, Script};
use serde_json::value::RawValue;

use super::store::{self, RunError, Work};
use crate::database::{
    LIMIT, Rows, Values, array_literal, quote_literal, rows_error, write_string,
};

/// What a caller asked for.
#[derive(Debug)]
pub(super) struct RawSql {
    pub(super) query: String,
    pub(super) params: Vec<Box<RawValue>>,
    pub(super) explain: bool,
    /// How the rows of a result show their values; a plan is JSON in any case.
    pub(super) values: Values,
}

/// What came of it.
#[derive(Debug)]
pub(super) struct Answer {
    /// The answer's body, JSON.
    pub(super) body: String,
    /// Rows touched; `None` when PostgreSQL does not count them.
    pub(super) affected: Option<u64>,
    /// What dashboards should refresh.
    pub(super) changes: Vec<Change>,
    /// Whether schema caches no longer hold.
    pub(super) schema_changed: bool,
}

/// Runs the query, or its plan, as `project_admin`.
pub(super) async fn run(
    guard: &Guard,
    pools: &AdminPools,
    request: &RawSql,
) -> Result<Answer, ApiError> {
    if request.explain {
        require_queries(guard, &request.query).await?;
    }
    let script = guard.check(Profile::RawSql, request.query.clone()).await?;
    let literals = request
        .params
        .iter()
        .map(|value| literal(value))
        .collect::<Result<Vec<_>, _>>()?;
    let (work, reports) = choose(request, &script, &literals)?;
    let schema_changed = !request.explain && script.changes_schema();
    let outcome = store::run(pools, &work, request.values, schema_changed)
        .await
        .map_err(failed)?;
    Ok(Answer {
        body: body(&outcome, reports),
        affected: reports.count.then_some(outcome.affected),
        changes: if request.explain {
            Vec::new()
        } else {
            changes(&script)
        },
        schema_changed,
    })
}

/// Which parts the answer has.
#[derive(Debug, Clone, Copy)]
struct Reports {
    /// `rowCount` and `fields`; a script's results are not told (contract, database §7.1).
    single: bool,
    /// Whether `rowCount` is a number.
    count: bool,
}

fn choose<'a>(
    request: &'a RawSql,
    script: &'a Script,
    literals: &'a [String],
) -> Result<(Work<'a>, Reports), ApiError> {
    let single = |count| Reports {
        single: true,
        count,
    };
    match script.statements.as_slice() {
        [first, ..] if request.explain => Ok((Work::Plan(&first.text, literals), single(false))),
        [only] if literals.is_empty() => {
            Ok((Work::Statement(&only.text), single(only.counts_rows)))
        }
        [only] => Ok((
            Work::Parameterised(&only.text, literals),
            single(only.counts_rows),
        )),
        [] => Ok((Work::Script(&request.query), single(false))),
        _ if literals.is_empty() => Ok((
            Work::Script(&request.query),
            Reports {
                single: false,
                count: false,
            },
        )),
        _ => Err(ApiError::invalid_input(
            "params: parameters can only be used with a single statement",
        )
        .with_hint("Send one statement per request, or write the values into the SQL")),
    }
}

/// Only what reads may be explained, because explaining runs it (contract, database §7.2).
async fn require_queries(guard: &Guard, query: &str) -> Result<(), ApiError> {
    let parsed = guard.analyze(query.to_owned()).await;
    match parsed {
        Ok(script) if script.is_only_queries() => Ok(()),
        Ok(_) => Err(
            ApiError::invalid_input("explain: only SELECT statements can be explained")
                .with_hint("Leave out `explain`, or send a SELECT"),
        ),
        Err(refusal @ (Refusal::Unparsable(_) | Refusal::Empty)) => {
            Err(ApiError::invalid_input(refusal.to_string()))
        }
        Err(refusal) => Err(refusal.into()),
    }
}

fn failed(error: RunError) -> ApiError {
    match error {
        RunError::Rows(error) => rows_error(error),
        RunError::Deadline => sql_timeout(LIMIT),
    }
}

/// A parameter as an SQL literal of unknown type.
fn literal(value: &RawValue) -> Result<String, ApiError> {
    let raw = value.get();
    let text = match raw.as_bytes().first() {
        Some(b'n') => return Ok("NULL".to_owned()),
        Some(b'"') => serde_json::from_str(raw)
            .map_err(|_| ApiError::invalid_input("params: a text is malformed"))?,
        Some(b'[') => array_literal(value),
        _ => raw.to_owned(),
    };
    if text.contains('\0') {
        return Err(ApiError::invalid_input(
            "params: texts in PostgreSQL cannot contain NUL characters",
        ));
    }
    Ok(quote_literal(&text))
}

fn changes(script: &Script) -> Vec<Change> {
    let changes = script.changes().into_iter();
    changes
        .map(|change| Change {
            kind: change.kind.as_str().to_owned(),
            name: change.name,
        })
        .collect()
}

fn body(outcome: &Rows, reports: Reports) -> String {
    let mut body = String::with_capacity(outcome.json.len() + 256);
    body.push_str("{\"rows\":[");
    body.push_str(&outcome.json);
    body.push(']');
    if reports.single {
        body.push_str(",\"rowCount\":");
        if reports.count {
            // Writing to a string cannot fail.
            let _ = write!(body, "{}", outcome.affected);
        } else {
            body.push_str("null");
        }
        body.push_str(",\"fields\":[");
        for (index, (name, oid)) in outcome.fields.iter().enumerate() {
            body.push_str(if index == 0 { "" } else { "," });
            body.push_str("{\"name\":");
            write_string(&mut body, name);
            let _ = write!(body, ",\"dataTypeID\":{oid}}}");
        }
        body.push(']');
    }
    body.push('}');
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_become_literals() {
        let literal = |json: &str| {
            let value: Box<RawValue> = serde_json::from_str(json).unwrap();
            literal(&value)
        };
        for (json, sql) in [
            ("null", "NULL"),
            ("\"it's\"", "'it''s'"),
            ("12345678901234567890.50", "'12345678901234567890.50'"),
            ("true", "'true'"),
            ("{\"a\":[1]}", r#"'{"a":[1]}'"#),
            ("[1,null,\"a\\\"b\"]", r#" E'{"1",NULL,"a\\"b"}'"#),
        ] {
            assert_eq!(literal(json).unwrap(), sql);
        }
        assert!(literal("\"a\\u0000b\"").is_err());
    }
}
