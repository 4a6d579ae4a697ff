//! Rows and columns of a table, on a session of their own: triggers, defaults and views run the
//! project's code.

use ingot_project::{AdminPools, AdminSession};
use sqlx::{AssertSqlSafe, raw_sql};

use super::columns::{Column, Table};
use crate::database::{JsonKind, Rows, RowsError, TableName, Values, collect};

/// A transaction that ends with [`commit`](Self::commit) or leaves nothing.
#[derive(Debug)]
pub(super) struct Work {
    session: AdminSession,
}

impl Work {
    pub(super) async fn begin(pools: &AdminPools) -> sqlx::Result<Self> {
        let mut session = AdminSession::open(pools).await?;
        raw_sql("begin").execute(session.connection()).await?;
        Ok(Self { session })
    }

    /// The table with its columns in their order; `None` if there is none that `project_admin` could
    /// know of.
    pub(super) async fn table(&mut self, name: TableName) -> sqlx::Result<Option<Table>> {
        let rows: Vec<(String, String, bool, bool)> = sqlx::query_as(
            "select a.attname::text,
                    case when t.typlen = -1 and t.typelem <> 0 then 'array'
                         when t.typname = 'citext' then 'citext'
                         else pg_catalog.format_type(t.oid, null) end,
                    not (a.attnotnull or (d.typtype = 'd' and d.typnotnull)),
                    coalesce(a.attnum = any (k.conkey), false)
             from pg_catalog.pg_attribute a
             join pg_catalog.pg_class c on c.oid = a.attrelid
             join pg_catalog.pg_namespace n on n.oid = c.relnamespace
             join pg_catalog.pg_type d on d.oid = a.atttypid
             join pg_catalog.pg_type t
                 on t.oid = case when d.typtype = 'd' then d.typbasetype else d.oid end
             left join pg_catalog.pg_constraint k on k.conrelid = c.oid and k.contype = 'p'
             where n.nspname = $1 and c.relname = $2 and c.relkind in ('r', 'p', 'v', 'm', 'f')
               and a.attnum > 0 and not a.attisdropped
             order by a.attnum",
        )
        .bind(&name.schema)
        .bind(&name.table)
        .fetch_all(self.session.connection())
        .await?;
        let columns: Vec<_> = rows
            .into_iter()
            .map(|(name, type_name, is_nullable, is_key)| Column {
                name,
                is_text: is_text(&type_name),
                is_nullable,
                is_key,
                kind: JsonKind::of_type(&type_name),
            })
            .collect();
        Ok((!columns.is_empty()).then_some(Table { name, columns }))
    }

    /// Runs a statement and collects what it returns.
    pub(super) async fn rows(&mut self, sql: &str) -> Result<Rows, RowsError> {
        collect(self.session.connection(), sql, Values::Json).await
    }

    pub(super) async fn count(&mut self, sql: &str) -> sqlx::Result<i64> {
        sqlx::query_scalar(AssertSqlSafe(sql))
            .fetch_one(self.session.connection())
            .await
    }

    pub(super) async fn commit(mut self) -> sqlx::Result<()> {
        raw_sql("commit").execute(self.session.connection()).await?;
        self.session.close().await.ok();
        Ok(())
    }
}

/// Types that hold an empty text as it is (contract, database §4.5).
fn is_text(type_name: &str) -> bool {
    matches!(
        type_name,
        "text" | "character varying" | "character" | "citext"
    )
}
