//! The snapshot that an export reads: one transaction, read only, as `project_admin`.

use bytes::Bytes;
use futures::stream::BoxStream;
use ingot_project::{AdminPools, AdminSession};
use sqlx::postgres::types::Oid;
use sqlx::{AssertSqlSafe, FromRow, PgConnection, raw_sql};

use super::definitions;

/// Values are printed as texts that every session reads back; names carry their schemas.
const BEGIN: &str = "begin isolation level repeatable read read only;
    set local statement_timeout = '1h';
    set local idle_in_transaction_session_timeout = '2min';
    set local search_path = '';
    set local timezone = 'UTC';
    set local datestyle = 'ISO, YMD';
    set local intervalstyle = 'postgres';
    set local bytea_output = 'hex';
    set local extra_float_digits = 1";

/// A table of `public` that is exported.
#[derive(Debug, Clone, FromRow)]
pub(super) struct Table {
    pub(super) name: String,
    /// As SQL, with its schema.
    pub(super) quoted: String,
    /// Whether there is such a table.
    pub(super) exists: bool,
}

/// A column whose values are exported.
#[derive(Debug, Clone, FromRow)]
pub(super) struct Column {
    pub(super) name: String,
    /// The type of its values; of a domain the type below.
    pub(super) type_oid: Oid,
    /// Whether PostgreSQL makes the value and takes another one only when told to.
    pub(super) always_identity: bool,
    /// Whether PostgreSQL computes the value and takes none.
    pub(super) computed: bool,
}

/// A transaction that sees the database at one moment.
#[derive(Debug)]
pub(super) struct Snapshot {
    session: AdminSession,
}

impl Snapshot {
    pub(super) async fn begin(pools: &AdminPools) -> sqlx::Result<Self> {
        let mut session = AdminSession::open(pools).await?;
        raw_sql(BEGIN).execute(session.connection()).await?;
        Ok(Self { session })
    }

    pub(super) async fn end(self) {
        self.session.close().await.ok();
    }

    fn connection(&mut self) -> &mut PgConnection {
        self.session.connection()
    }

    /// The named tables of `public` in their order, or all of them; a partitioned table stands for
    /// its partitions.
    pub(super) async fn tables(&mut self, named: &[String]) -> sqlx::Result<Vec<Table>> {
        sqlx::query_as(definitions::TABLES)
            .bind(named)
            .fetch_all(self.connection())
            .await
    }

    /// The columns of a table.
    pub(super) async fn columns(&mut self, table: &Table) -> sqlx::Result<Vec<Column>> {
        sqlx::query_as(definitions::COLUMNS)
            .bind(&table.quoted)
            .fetch_all(self.connection())
            .await
    }

    /// PostgreSQL's own complaint about a table that does not exist.
    pub(super) async fn require(&mut self, table: &Table) -> sqlx::Result<()> {
        let sql = format!("select from {} limit 0", table.quoted);
        raw_sql(AssertSqlSafe(sql))
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// How many rows the table has, if they are more than `limit`.
    pub(super) async fn rows_beyond(
        &mut self,
        table: &Table,
        limit: i64,
    ) -> sqlx::Result<Option<i64>> {
        let sql = format!(
            "select case when (select count(*) from (select from {0} limit {limit} + 1) s) > {limit}
                 then (select count(*) from {0}) end",
            table.quoted
        );
        sqlx::query_scalar(AssertSqlSafe(sql))
            .fetch_one(self.connection())
            .await
    }

    /// What a query of `COPY ... TO STDOUT` prints.
    pub(super) async fn copy<'a>(
        &'a mut self,
        sql: &str,
    ) -> sqlx::Result<BoxStream<'a, sqlx::Result<Bytes>>> {
        self.connection().copy_out_raw(sql).await
    }

    /// Statements that a query of [`definitions`] writes, or JSON that it builds; `subject` is a
    /// table as SQL, or empty.
    pub(super) async fn texts(
        &mut self,
        query: &'static str,
        subject: &str,
    ) -> sqlx::Result<Vec<String>> {
        sqlx::query_scalar(query)
            .bind(subject)
            .fetch_all(self.connection())
            .await
    }
}
