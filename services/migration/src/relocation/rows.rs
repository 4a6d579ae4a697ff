//! Writes the platform's rows into a new database, in one transaction. The owner runs no text of a
//! backup: its rows go through `COPY`, into tables that the database itself names. Columns that it
//! lacks are made, with quoted names and types of PostgreSQL's own.

use anyhow::Context;
use sqlx::postgres::PgCopyIn;
use sqlx::{AssertSqlSafe, PgConnection, Postgres, Transaction, query_as, query_scalar, raw_sql};

use super::tables::{self, Column, Table, quote};

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
        self.find(table).is_some()
    }

    fn find(&self, table: &Table) -> Option<&Table> {
        self.tables
            .iter()
            .find(|it| (&it.schema, &it.name) == (&table.schema, &table.name))
    }

    /// Begins to write rows of a table, in the text form of `COPY`. A table takes columns that it
    /// lacks, and what may be null in the other database may be null in this one.
    ///
    /// # Errors
    /// The database has no such table, or PostgreSQL refuses.
    pub async fn write(&mut self, table: &Table) -> anyhow::Result<PgCopyIn<&mut PgConnection>> {
        let found = self.find(table).cloned();
        let found = found.with_context(|| format!("there is no table {}", table.label()))?;
        self.loosen(&found, table).await?;
        let copy = format!(
            "copy {} ({}) from stdin",
            found.quoted(),
            table.quoted_columns()
        );
        Ok(self.transaction.copy_in_raw(&copy).await?)
    }

    /// A database that was another platform's keeps columns that the steps do not make, and leaves
    /// empty what nobody can know of its older rows.
    async fn loosen(&mut self, found: &Table, wanted: &Table) -> anyhow::Result<()> {
        for column in &wanted.columns {
            let name = quote(&column.name);
            let change = match found.columns.iter().find(|it| it.name == column.name) {
                None => format!("add column {name} {}", self.data_type(column).await?),
                Some(it) if column.nullable && !it.nullable => {
                    format!("alter column {name} drop not null")
                }
                Some(_) => continue,
            };
            self.run(format!("alter table {} {change}", found.quoted()))
                .await?;
        }
        Ok(())
    }

    /// The type as the server calls it, and only one of its own: everything else is kept as text.
    async fn data_type(&mut self, column: &Column) -> anyhow::Result<String> {
        let known: Option<String> = query_scalar(
            "select pg_catalog.format_type(oid, $2) from pg_catalog.pg_type
             where typnamespace = 'pg_catalog'::pg_catalog.regnamespace and typname = $1
                 and typtype in ('b', 'r', 'm')",
        )
        .bind(&column.data_type)
        .bind(column.modifier)
        .fetch_optional(&mut *self.transaction)
        .await?;
        Ok(known.unwrap_or_else(|| "pg_catalog.text".to_owned()))
    }

    /// Lets sequences go on behind the rows, and makes it last.
    ///
    /// # Errors
    /// PostgreSQL refuses.
    pub async fn finish(mut self) -> anyhow::Result<()> {
        for table in self.tables.clone() {
            for column in &table.columns {
                self.advance_sequence(&table, &column.name).await?;
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
