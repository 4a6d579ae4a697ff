//! The transaction of an import, as `project_admin`.

use futures::TryStreamExt;
use ingot_project::{AdminPools, AdminSession};
use sqlx::postgres::PgCopyIn;
use sqlx::{AssertSqlSafe, Either, PgConnection, raw_sql};

use crate::database::quote;

/// A statement of a dump may fill a large table or build an index over it. The transaction idles
/// only while the next statements are parsed.
const BEGIN: &str = "begin;
    set local statement_timeout = '30min';
    set local idle_in_transaction_session_timeout = '5min'";

/// Whatever the dump switched to, what follows is the administrator's.
const END: &str = "set local role project_admin;
    notify pgrst, 'reload schema';
    commit";

/// A transaction that ends with [`commit`](Self::commit) or leaves nothing.
#[derive(Debug)]
pub(crate) struct Import {
    session: AdminSession,
}

impl Import {
    pub(crate) async fn begin(pools: &AdminPools) -> sqlx::Result<Self> {
        let mut session = AdminSession::open(pools).await?;
        raw_sql(BEGIN).execute(session.connection()).await?;
        Ok(Self { session })
    }

    /// The session of the transaction.
    pub(crate) fn connection(&mut self) -> &mut PgConnection {
        self.session.connection()
    }

    /// Empties the tables of `public`. A table that cannot be emptied stays as it is (contract,
    /// database §7.4).
    pub(crate) async fn truncate_public(&mut self) -> sqlx::Result<()> {
        let connection = self.session.connection();
        let tables: Vec<String> = sqlx::query_scalar(
            "select c.relname::text
             from pg_catalog.pg_class c
             join pg_catalog.pg_namespace n on n.oid = c.relnamespace
             where n.nspname = 'public' and c.relkind in ('r', 'p')
             order by c.relname",
        )
        .fetch_all(&mut *connection)
        .await?;
        for table in tables {
            let truncate = format!(
                "savepoint ingot_truncate; truncate public.{} cascade; \
                 release savepoint ingot_truncate",
                quote(&table)
            );
            if let Err(error) = execute(connection, &truncate).await {
                tracing::info!(%table, %error, "a table was not emptied before an import");
                execute(connection, "rollback to savepoint ingot_truncate").await?;
            }
        }
        Ok(())
    }

    /// Runs the statements; tells how many rows each touched, also of those before a failure.
    pub(crate) async fn run(&mut self, sql: &str) -> (Vec<u64>, sqlx::Result<()>) {
        let mut rows = Vec::new();
        let mut results = raw_sql(AssertSqlSafe(sql)).fetch_many(self.session.connection());
        loop {
            match results.try_next().await {
                Ok(Some(Either::Left(done))) => rows.push(done.rows_affected()),
                // Nobody asked for the rows of a query.
                Ok(Some(Either::Right(_))) => {}
                Ok(None) => return (rows, Ok(())),
                Err(error) => return (rows, Err(error)),
            }
        }
    }

    /// Starts a `COPY ... FROM STDIN`.
    pub(crate) async fn copy(&mut self, sql: &str) -> sqlx::Result<PgCopyIn<&mut PgConnection>> {
        self.session.connection().copy_in_raw(sql).await
    }

    /// Makes it last, and asks the records engines to read the schema again.
    pub(crate) async fn commit(mut self) -> sqlx::Result<()> {
        execute(self.session.connection(), END).await?;
        self.session.close().await.ok();
        Ok(())
    }
}

async fn execute(connection: &mut PgConnection, sql: &str) -> sqlx::Result<()> {
    raw_sql(AssertSqlSafe(sql)).execute(connection).await?;
    Ok(())
}
