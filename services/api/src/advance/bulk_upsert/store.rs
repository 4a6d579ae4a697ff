//! The transaction of a bulk upsert, as `project_admin`.

use std::collections::HashMap;

use ingot_project::{AdminPools, AdminSession};
use sqlx::postgres::PgCopyIn;
use sqlx::{AssertSqlSafe, PgConnection, raw_sql};

use crate::database::{JsonKind, TableName, quote};

const BEGIN: &str = "begin;
    set local statement_timeout = '30min';
    set local idle_in_transaction_session_timeout = '5min'";

/// What is known of the target.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) table: TableName,
    /// Column of a unique index; rows with a known value of it are changed.
    pub(super) key: Option<String>,
    /// Whether rows can be copied right into it.
    copyable: bool,
    pub(super) kinds: HashMap<String, JsonKind>,
}

impl Target {
    /// Rows with a key, and rows for a view, come by way of a table of their own.
    pub(super) fn needs_staging(&self) -> bool {
        self.key.is_some() || !self.copyable
    }
}

/// A transaction that ends with [`commit`](Self::commit) or leaves nothing.
#[derive(Debug)]
pub(super) struct Upsert {
    session: AdminSession,
}

impl Upsert {
    pub(super) async fn begin(pools: &AdminPools) -> sqlx::Result<Self> {
        let mut session = AdminSession::open(pools).await?;
        raw_sql(BEGIN).execute(session.connection()).await?;
        Ok(Self { session })
    }

    /// Looks the table up. One that does not exist is found out when rows come.
    pub(super) async fn target(
        &mut self,
        table: TableName,
        key: Option<String>,
    ) -> sqlx::Result<Target> {
        let columns: Vec<(String, String, String)> = sqlx::query_as(
            "select a.attname::text, c.relkind::text,
                    case when t.typlen = -1 and t.typelem <> 0 then 'array'
                         else coalesce(nullif(t.typbasetype, 0), t.oid)::regtype::text end
             from pg_catalog.pg_attribute a
             join pg_catalog.pg_class c on c.oid = a.attrelid
             join pg_catalog.pg_type d on d.oid = a.atttypid
             join pg_catalog.pg_type t on t.oid = coalesce(nullif(d.typbasetype, 0), d.oid)
             where c.oid = to_regclass($1) and a.attnum > 0 and not a.attisdropped",
        )
        .bind(table.quoted())
        .fetch_all(self.session.connection())
        .await?;
        let copyable = columns
            .iter()
            .all(|(_, relation, _)| matches!(relation.as_str(), "r" | "p"));
        let kinds = columns
            .into_iter()
            .map(|(name, _, type_name)| (name, JsonKind::of_type(&type_name)))
            .collect();
        Ok(Target {
            table,
            key,
            copyable,
            kinds,
        })
    }

    /// Makes the place for the rows of a set of columns, if they need one.
    pub(super) async fn prepare(
        &mut self,
        target: &Target,
        group: usize,
        columns: &[String],
    ) -> sqlx::Result<()> {
        if !target.needs_staging() {
            return Ok(());
        }
        let sql = format!(
            "create temporary table {} on commit drop as select {} from {} with no data",
            staging(group),
            names(columns),
            target.table.quoted()
        );
        self.execute(&sql).await
    }

    /// Starts to take lines with these columns.
    pub(super) async fn copy(
        &mut self,
        target: &Target,
        group: usize,
        columns: &[String],
    ) -> sqlx::Result<PgCopyIn<&mut PgConnection>> {
        let place = if target.needs_staging() {
            staging(group)
        } else {
            target.table.quoted()
        };
        let sql = format!("copy {place} ({}) from stdin", names(columns));
        self.session.connection().copy_in_raw(&sql).await
    }

    /// Moves the rows of a set of columns to where they belong; says how many were written there,
    /// if they had not been written before.
    pub(super) async fn merge(
        &mut self,
        target: &Target,
        group: usize,
        columns: &[String],
    ) -> sqlx::Result<u64> {
        if !target.needs_staging() {
            return Ok(0);
        }
        let sql = format!(
            "insert into {} ({1}) select {1} from {2}{3}",
            target.table.quoted(),
            names(columns),
            staging(group),
            conflict(target.key.as_deref(), columns),
        );
        let done = raw_sql(AssertSqlSafe(sql))
            .execute(self.session.connection())
            .await?;
        Ok(done.rows_affected())
    }

    pub(super) async fn commit(mut self) -> sqlx::Result<()> {
        self.execute("commit").await?;
        self.session.close().await.ok();
        Ok(())
    }

    async fn execute(&mut self, sql: &str) -> sqlx::Result<()> {
        raw_sql(AssertSqlSafe(sql))
            .execute(self.session.connection())
            .await?;
        Ok(())
    }
}

fn staging(group: usize) -> String {
    format!("pg_temp.ingot_rows_{group}")
}

fn names(columns: &[String]) -> String {
    let quoted: Vec<_> = columns.iter().map(|column| quote(column)).collect();
    quoted.join(", ")
}

/// What happens to rows whose key is there already.
fn conflict(key: Option<&str>, columns: &[String]) -> String {
    let Some(key) = key else {
        return String::new();
    };
    let updates: Vec<_> = columns
        .iter()
        .filter(|column| *column != key)
        .map(|column| format!("{0} = excluded.{0}", quote(column)))
        .collect();
    let action = if updates.is_empty() {
        "nothing".to_owned()
    } else {
        format!("update set {}", updates.join(", "))
    };
    format!(" on conflict ({}) do {action}", quote(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_keys_change_the_other_columns() {
        let columns = ["a".to_owned(), "b\"".to_owned()];
        assert_eq!(
            conflict(Some("a"), &columns),
            " on conflict (\"a\") do update set \"b\"\"\" = excluded.\"b\"\"\""
        );
        let alone = &columns[..1];
        assert_eq!(
            conflict(Some("a"), alone),
            " on conflict (\"a\") do nothing"
        );
        assert_eq!(conflict(None, alone), "");
    }
}
