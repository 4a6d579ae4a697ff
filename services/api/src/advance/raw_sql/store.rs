//! Runs administrators' SQL on a connection that nobody uses before or after.
//!
//! Everything travels in the simple query protocol: several statements are one implicit
//! transaction, and every value comes as text. Parameters go through `PREPARE` and `EXECUTE` with
//! literals of unknown type, which PostgreSQL reads exactly like text parameters.

use futures::TryStreamExt;
use sqlx::postgres::PgRow;
use sqlx::{
    AssertSqlSafe, Column, Either, Executor, PgConnection, PgPool, Row, SqlSafeStr, Statement,
    ValueRef,
};

use crate::database::{AdminSession, DEADLINE, write_string, write_value};

/// Largest result, in bytes of JSON.
const MAX_RESULT: usize = 64 * 1024 * 1024;

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
pub(super) enum RunError {
    #[error(transparent)]
    Sql(#[from] sqlx::Error),
    #[error("the deadline has passed")]
    Deadline,
    #[error("the result is too large")]
    TooLarge,
}

/// What to run.
#[derive(Debug)]
pub(super) enum Work<'a> {
    /// One statement whose result is wanted.
    Statement(&'a str),
    /// One statement with parameters, each an SQL literal.
    Parameterised(&'a str, &'a [String]),
    /// A text of several statements, or of none.
    Script(&'a str),
    /// The plan of one query, which is run and undone.
    Plan(&'a str, &'a [String]),
}

/// The result of a single statement; empty for a script.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// The rows as a JSON array without its brackets.
    pub(super) rows: String,
    /// Rows touched by the last statement.
    pub(super) affected: u64,
    /// Name and type OID of each column.
    pub(super) fields: Vec<(String, u32)>,
}

/// Runs `work` as `project_admin`; with `reload` the records engines then read the schema again.
pub(super) async fn run(pool: &PgPool, work: &Work<'_>, reload: bool) -> Result<Outcome, RunError> {
    let mut session = AdminSession::open(pool).await?;
    let running = perform(session.connection(), work, reload);
    let Ok(result) = tokio::time::timeout(DEADLINE, running).await else {
        session.end(pool).await;
        return Err(RunError::Deadline);
    };
    if result.is_ok() {
        session.close().await?;
    }
    result
}

async fn perform(
    connection: &mut PgConnection,
    work: &Work<'_>,
    reload: bool,
) -> Result<Outcome, RunError> {
    let outcome = match work {
        Work::Statement(sql) => {
            let mut outcome = collect(connection, sql).await?;
            if outcome.rows.is_empty() {
                outcome.fields = columns(connection, sql).await;
            }
            outcome
        }
        Work::Parameterised(sql, literals) => {
            execute(connection, &prepare(sql)).await?;
            let mut outcome = collect(connection, &call(literals)).await?;
            if outcome.rows.is_empty() {
                outcome.fields = columns(connection, sql).await;
            }
            outcome
        }
        Work::Script(sql) => {
            execute(connection, sql).await?;
            Outcome::default()
        }
        Work::Plan(sql, literals) => {
            execute(connection, "begin").await?;
            let query = if literals.is_empty() {
                (*sql).to_owned()
            } else {
                execute(connection, &prepare(sql)).await?;
                call(literals)
            };
            let explain = format!("explain (format json, analyze, buffers) {query}");
            let outcome = collect(connection, &explain).await?;
            execute(connection, "rollback").await?;
            outcome
        }
    };
    if reload {
        execute(connection, "notify pgrst, 'reload schema'").await?;
    }
    Ok(outcome)
}

fn prepare(sql: &str) -> String {
    format!("prepare ingot_statement as {sql}")
}

fn call(literals: &[String]) -> String {
    format!("execute ingot_statement({})", literals.join(", "))
}

async fn execute(connection: &mut PgConnection, sql: &str) -> sqlx::Result<()> {
    sqlx::raw_sql(AssertSqlSafe(sql))
        .execute(connection)
        .await?;
    Ok(())
}

/// The columns of a statement that returned no row, from which they could be read.
async fn columns(connection: &mut PgConnection, sql: &str) -> Vec<(String, u32)> {
    match connection.prepare(AssertSqlSafe(sql).into_sql_str()).await {
        Ok(statement) => statement.columns().iter().map(field).collect(),
        // A statement that cannot be prepared returns no rows either.
        Err(_) => Vec::new(),
    }
}

fn field(column: &sqlx::postgres::PgColumn) -> (String, u32) {
    let oid = column.type_info().oid().map_or(0, |oid| oid.0);
    (column.name().to_owned(), oid)
}

async fn collect(connection: &mut PgConnection, sql: &str) -> Result<Outcome, RunError> {
    let mut outcome = Outcome::default();
    let mut results = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_many(connection);
    while let Some(result) = results.try_next().await? {
        match result {
            Either::Left(done) => outcome.affected = done.rows_affected(),
            Either::Right(row) => outcome.push(&row)?,
        }
    }
    Ok(outcome)
}

impl Outcome {
    fn push(&mut self, row: &PgRow) -> Result<(), RunError> {
        if self.rows.is_empty() {
            self.fields = row.columns().iter().map(field).collect();
        } else {
            self.rows.push(',');
        }
        self.rows.push('{');
        let mut first = true;
        for (index, (name, oid)) in self.fields.iter().enumerate() {
            // Of columns with one name the last one counts.
            let later = self.fields.get(index + 1..).unwrap_or_default();
            if later.iter().any(|(other, _)| other == name) {
                continue;
            }
            if !first {
                self.rows.push(',');
            }
            first = false;
            write_string(&mut self.rows, name);
            self.rows.push(':');
            let value = row.try_get_raw(index)?;
            if value.is_null() {
                self.rows.push_str("null");
            } else {
                let text = value.as_str().map_err(sqlx::Error::Decode)?;
                write_value(&mut self.rows, *oid, text);
            }
        }
        self.rows.push('}');
        if self.rows.len() > MAX_RESULT {
            return Err(RunError::TooLarge);
        }
        Ok(())
    }
}
