//! How work reaches the database as the project's administrator.

use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::{AssertSqlSafe, PgConnection, PgPool, Postgres, Transaction};

/// Makes a session of the login role for administrators' SQL act as `project_admin`, with a limit
/// on the time of each statement.
const ENTER_ADMIN: &str = "set role project_admin; \
     set request.jwt.claims = '{\"role\":\"project_admin\"}'; \
     set statement_timeout = '30s'";

/// The role until the end of the transaction.
const ENTER_ADMIN_LOCALLY: &str = "set local role project_admin; \
     set local request.jwt.claims = '{\"role\":\"project_admin\"}'";

/// When statements together, or one that lifted its own limit, are ended from outside.
pub(crate) const DEADLINE: Duration = Duration::from_secs(35);

/// Begins a transaction as `project_admin` on the login role whose only right is to become it
/// (contract, database §11).
pub(crate) async fn begin_as_admin(pool: &PgPool) -> sqlx::Result<Transaction<'static, Postgres>> {
    let mut transaction = pool.begin().await?;
    let enter = format!("{ENTER_ADMIN_LOCALLY}{}", trace("set local"));
    sqlx::raw_sql(AssertSqlSafe(enter))
        .execute(&mut *transaction)
        .await?;
    Ok(transaction)
}

/// Tells what the database publishes which trace it belongs to, if there is one.
fn trace(set: &str) -> String {
    // Digits, letters and dashes: nothing that would end the text.
    ingot_telemetry::current_traceparent()
        .filter(|trace| {
            trace
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-')
        })
        .map(|trace| format!("; {set} ingot.traceparent = '{trace}'"))
        .unwrap_or_default()
}

/// A session as `project_admin` on the login role whose only right is to become it, for whatever
/// runs the project's own code: administrators' SQL, triggers. What that code leaves behind (role,
/// settings, temporary tables, locks) ends with the connection, also if the caller goes away
/// half-way.
#[derive(Debug)]
pub(crate) struct AdminSession {
    connection: PoolConnection<Postgres>,
    process: i32,
}

impl AdminSession {
    /// Takes a connection of `pool`, which is the one of `LoginRole::Sql`, out of use for others.
    pub(crate) async fn open(pool: &PgPool) -> sqlx::Result<Self> {
        let mut connection = pool.acquire().await?;
        connection.close_on_drop();
        let enter = format!("{ENTER_ADMIN}{}", trace("set"));
        sqlx::raw_sql(AssertSqlSafe(enter))
            .execute(&mut *connection)
            .await?;
        let process = sqlx::query_scalar("select pg_catalog.pg_backend_pid()")
            .persistent(false)
            .fetch_one(&mut *connection)
            .await?;
        Ok(Self {
            connection,
            process,
        })
    }

    /// What statements run on. Callers give up after [`DEADLINE`] and then [`end`](Self::end).
    pub(crate) fn connection(&mut self) -> &mut PgConnection {
        &mut self.connection
    }

    /// Says good-bye to the server.
    pub(crate) async fn close(self) -> sqlx::Result<()> {
        self.connection.close().await
    }

    /// Ends a session that outlived its deadline, over another connection of the same login role.
    pub(crate) async fn end(self, pool: &PgPool) {
        let process = self.process;
        drop(self);
        let ended = sqlx::query("select pg_catalog.pg_terminate_backend($1)")
            .bind(process)
            .execute(pool)
            .await;
        if let Err(error) = ended {
            tracing::error!(process, %error, "a session could not be ended after its deadline");
        }
    }
}
