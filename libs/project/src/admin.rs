//! Sessions that run the project's own code: an administrator's SQL, triggers, defaults, views.
//!
//! Such code may leave anything behind in its session, and a login role may even change its own
//! password and defaults. So a session is used once, ended from outside when it does not end by
//! itself, and the login roles are put right after it (step 10 of the system migrations).

use sqlx::pool::PoolConnection;
use sqlx::{AssertSqlSafe, PgConnection, PgPool, Postgres};
use tokio::runtime::Handle;

use crate::{LoginRole, PoolError, Pools, ProjectId};

/// Makes a session of the login role for administrators' SQL act as `project_admin`, with a limit
/// on the time of each statement.
const ENTER: &str = "set role project_admin; \
     set request.jwt.claims = '{\"role\":\"project_admin\"}'; \
     set statement_timeout = '30s'";

/// Where administrators' SQL runs, and the services' own connections that look after it.
#[derive(Debug, Clone)]
pub struct AdminPools {
    sql: PgPool,
    service: PgPool,
}

impl Pools {
    /// The pools for sessions that run code of `project`.
    pub fn admin(&self, project: &ProjectId) -> Result<AdminPools, PoolError> {
        Ok(AdminPools {
            sql: self.get(project, LoginRole::Sql)?,
            service: self.get(project, LoginRole::Service)?,
        })
    }
}

impl AdminPools {
    /// Ends the session of that server process, however it resists, and mends the logins.
    async fn end(&self, process: i32) {
        let ended = sqlx::query("select system.end_session($1)")
            .bind(process)
            .execute(&self.service)
            .await;
        if let Err(error) = ended {
            tracing::error!(process, %error, "a session of an administrator could not be ended");
        }
        self.mend().await;
    }

    /// Puts the login roles right, should the session have changed its own.
    pub async fn mend(&self) {
        let mended: sqlx::Result<Vec<String>> = sqlx::query_scalar("select system.mend_logins()")
            .fetch_one(&self.service)
            .await;
        match mended {
            Ok(roles) if roles.is_empty() => {}
            Ok(roles) => tracing::warn!(?roles, "code of the project had changed login roles"),
            Err(error) => tracing::warn!(%error, "login roles were not looked at"),
        }
    }
}

/// A session as `project_admin` on the login role whose only right is to become it. What its code
/// leaves behind (role, settings, temporary tables, locks) ends with the connection. A session
/// that is dropped instead of [closed](Self::close) is ended on the server, too: a statement of
/// its may still run.
#[derive(Debug)]
pub struct AdminSession {
    connection: PoolConnection<Postgres>,
    watch: Watch,
}

impl AdminSession {
    /// Takes a connection out of use for others.
    pub async fn open(pools: &AdminPools) -> sqlx::Result<Self> {
        let mut connection = pools.sql.acquire().await?;
        connection.close_on_drop();
        let enter = format!("{ENTER}{}", set_trace("set"));
        sqlx::raw_sql(AssertSqlSafe(enter))
            .execute(&mut *connection)
            .await?;
        let process = sqlx::query_scalar("select pg_catalog.pg_backend_pid()")
            .persistent(false)
            .fetch_one(&mut *connection)
            .await?;
        let pools = Some(pools.clone());
        Ok(Self {
            connection,
            watch: Watch { process, pools },
        })
    }

    /// What statements run on.
    pub fn connection(&mut self) -> &mut PgConnection {
        &mut self.connection
    }

    /// Says good-bye to the server.
    pub async fn close(mut self) -> sqlx::Result<()> {
        let closed = self.connection.close().await;
        if let Some(pools) = self.watch.pools.take() {
            pools.mend().await;
        }
        closed
    }

    /// Ends a session that outlived its time.
    pub async fn end(mut self) {
        drop(self.connection);
        if let Some(pools) = self.watch.pools.take() {
            pools.end(self.watch.process).await;
        }
    }
}

/// Ends the server's side of a session that was not closed in order.
#[derive(Debug)]
struct Watch {
    process: i32,
    /// None once the session has come to its end.
    pools: Option<AdminPools>,
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let (Some(pools), Ok(runtime)) = (self.pools.take(), Handle::try_current()) {
            let process = self.process;
            runtime.spawn(async move { pools.end(process).await });
        }
    }
}

/// Tells what the database publishes which trace it belongs to, if there is one: the rest of a
/// script, beginning with `; `. `set` is `set` or `set local`.
pub fn set_trace(set: &str) -> String {
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
