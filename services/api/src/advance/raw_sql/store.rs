//! Runs administrators' SQL on a connection that nobody uses before or after.
//!
//! Everything travels in the simple query protocol: several statements are one implicit
//! transaction, and every value comes as text. Parameters go through `PREPARE` and `EXECUTE` with
//! literals of unknown type, which PostgreSQL reads exactly like text parameters.

use ingot_project::{AdminPools, AdminSession};
use sqlx::{AssertSqlSafe, Executor, PgConnection, SqlSafeStr, Statement};

use crate::database::{DEADLINE, Rows, RowsError, Values, collect, field};

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
pub(super) enum RunError {
    #[error(transparent)]
    Rows(#[from] RowsError),
    #[error("the deadline has passed")]
    Deadline,
}

impl From<sqlx::Error> for RunError {
    fn from(error: sqlx::Error) -> Self {
        Self::Rows(error.into())
    }
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

/// Runs `work` as `project_admin`; with `reload` the records engines then read the schema again.
pub(super) async fn run(
    pools: &AdminPools,
    work: &Work<'_>,
    values: Values,
    reload: bool,
) -> Result<Rows, RunError> {
    let mut session = AdminSession::open(pools).await?;
    let running = perform(session.connection(), work, values, reload);
    let Ok(result) = tokio::time::timeout(DEADLINE, running).await else {
        session.end().await;
        return Err(RunError::Deadline);
    };
    // What was done stands, whatever it did to its own connection.
    if let Err(error) = session.close().await {
        tracing::debug!(%error, "a connection was not closed in order");
    }
    result
}

async fn perform(
    connection: &mut PgConnection,
    work: &Work<'_>,
    values: Values,
    reload: bool,
) -> Result<Rows, RunError> {
    let outcome = match work {
        Work::Statement(sql) => {
            let mut outcome = collect(connection, sql, values).await?;
            if outcome.json.is_empty() {
                outcome.fields = columns(connection, sql).await;
            }
            outcome
        }
        Work::Parameterised(sql, literals) => {
            execute(connection, &prepare(sql)).await?;
            let mut outcome = collect(connection, &call(literals), values).await?;
            if outcome.json.is_empty() {
                outcome.fields = columns(connection, sql).await;
            }
            outcome
        }
        Work::Script(sql) => {
            execute(connection, sql).await?;
            Rows::default()
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
            let outcome = collect(connection, &explain, Values::Json).await?;
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
