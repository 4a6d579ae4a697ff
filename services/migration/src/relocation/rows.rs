//! Writes the platform's rows into a new database, in one transaction. The owner runs no text of a
//! backup: its rows go through `COPY`, into tables and columns that the database itself names.

use anyhow::{Context, ensure};
use sqlx::postgres::PgCopyIn;
use sqlx::{AssertSqlSafe, PgConnection, Postgres, Transaction, query_as, query_scalar, raw_sql};

use super::tables::{self, Table, quote};

const SETTINGS: &str = "set local search_path = '';
    set local statement_timeout = 0;
    set local idle_in_transaction_session_timeout = 0";

/// The transaction.
#[derive(Debug)]
pub struct RowsIn<'c> {
    transaction: Transaction<'c, Postgres>,
    tables: Vec<Table>,
    /// Triggers that do not fire meanwhile, with their tables.
    silent: Vec<(String, String)>,
}

impl<'c> RowsIn<'c> {
    /// Empties the tables and silences what would follow from new rows: they are not news, so
    /// nobody is notified and no webhook is sent. Triggers that complete a row stay.
    pub(super) async fn begin(mut transaction: Transaction<'c, Postgres>) -> anyhow::Result<Self> {
        raw_sql(SETTINGS).execute(&mut *transaction).await?;
        let tables = tables::carried(&mut transaction).await?;
        let silent: Vec<(String, String)> = query_as(
            "select t.tgrelid::pg_catalog.regclass::text, pg_catalog.quote_ident(t.tgname)
             from pg_catalog.pg_trigger as t
             join pg_catalog.pg_class as c on c.oid = t.tgrelid
             where not t.tgisinternal and t.tgenabled <> 'D' and t.tgtype & 2 = 0
                 and c.relnamespace::pg_catalog.regnamespace::text = any ($1)",
        )
        .bind(tables::SCHEMAS.map(str::to_owned).to_vec())
        .fetch_all(&mut *transaction)
        .await?;
        let mut rows = Self {
            transaction,
            tables,
            silent,
        };
        rows.fire("disable").await?;
        for table in rows.tables.clone().iter().rev() {
            rows.run(format!("delete from {}", table.quoted())).await?;
        }
        Ok(rows)
    }

    async fn fire(&mut self, verb: &str) -> anyhow::Result<()> {
        for (table, trigger) in self.silent.clone() {
            self.run(format!("alter table {table} {verb} trigger {trigger}"))
                .await?;
        }
        Ok(())
    }

    /// Whether the database has such a table.
    pub fn takes(&self, table: &Table) -> bool {
        self.tables
            .iter()
            .any(|it| (&it.schema, &it.name) == (&table.schema, &table.name))
    }

    /// Begins to write rows of a table, in the text form of `COPY`.
    ///
    /// # Errors
    /// The database has no such table or column.
    pub async fn write(&mut self, table: &Table) -> anyhow::Result<PgCopyIn<&mut PgConnection>> {
        let label = table.label();
        let found = self
            .tables
            .iter()
            .find(|it| (&it.schema, &it.name) == (&table.schema, &table.name))
            .with_context(|| format!("there is no table {label}"))?;
        for column in &table.columns {
            ensure!(
                found.columns.contains(column),
                "the table {label} has no column {column}"
            );
        }
        let copy = format!(
            "copy {} ({}) from stdin",
            found.quoted(),
            table.quoted_columns()
        );
        Ok(self.transaction.copy_in_raw(&copy).await?)
    }

    /// Lets sequences go on behind the rows, and makes it last.
    ///
    /// # Errors
    /// PostgreSQL refuses.
    pub async fn finish(mut self) -> anyhow::Result<()> {
        for table in self.tables.clone() {
            for column in &table.columns {
                self.advance_sequence(&table, column).await?;
            }
        }
        self.fire("enable").await?;
        self.transaction.commit().await?;
        Ok(())
    }

    async fn advance_sequence(&mut self, table: &Table, column: &str) -> anyhow::Result<()> {
        let sequence: Option<String> =
            query_scalar("select pg_catalog.pg_get_serial_sequence($1, $2)")
                .bind(table.quoted())
                .bind(column)
                .fetch_one(&mut *self.transaction)
                .await?;
        let Some(sequence) = sequence else {
            return Ok(());
        };
        let (table, column) = (table.quoted(), quote(column));
        let advance = format!(
            "select pg_catalog.setval($1::pg_catalog.regclass, max({column})) from {table}
             having max({column}) is not null"
        );
        sqlx::query(AssertSqlSafe(advance))
            .bind(sequence)
            .execute(&mut *self.transaction)
            .await?;
        Ok(())
    }

    /// Runs a statement of this module.
    async fn run(&mut self, sql: String) -> anyhow::Result<()> {
        raw_sql(AssertSqlSafe(sql))
            .execute(&mut *self.transaction)
            .await?;
        Ok(())
    }
}
