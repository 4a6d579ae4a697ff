//! Which rows of the platform's tables are carried, and in which order.

use serde::{Deserialize, Serialize};
use sqlx::{FromRow, PgConnection, query_as};

/// Schemas of the platform's tables.
pub(super) const SCHEMAS: [&str; 11] = [
    "auth",
    "system",
    "realtime",
    "storage",
    "functions",
    "email",
    "compute",
    "deployments",
    "memory",
    "payments",
    "schedules",
];

/// What is about the database itself and not about the project: the ledger of steps, whose database
/// it is, its login roles, and how far its relay is.
const OF_THE_PLACE: [&str; 4] = [
    "system.schema_steps",
    "system.metadata",
    "system.logins",
    "realtime.relay",
];

/// Columns that are about the place, too: numbers that the other database's `pg_cron` gave.
const COLUMNS_OF_THE_PLACE: [&str; 1] = ["schedules.jobs.cron_job_id"];

/// A table of the platform and its columns that are carried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// Its columns, without those that PostgreSQL computes and those that hold transactions' numbers,
    /// which mean nothing to another server.
    pub columns: Vec<Column>,
}

/// A column, as far as another database must be told to take its values.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Name of its type, if that is one of PostgreSQL's own.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub data_type: Option<String>,
    /// The type's modifier, such as a length; -1 is none (`pg_attribute.atttypmod`).
    pub modifier: i32,
    /// Whether it may be null.
    pub nullable: bool,
}

impl Table {
    /// `"schema"."table"`.
    pub(super) fn quoted(&self) -> String {
        format!("{}.{}", quote(&self.schema), quote(&self.name))
    }

    /// Its columns, quoted.
    pub(super) fn quoted_columns(&self) -> String {
        let columns: Vec<_> = self.columns.iter().map(|it| quote(&it.name)).collect();
        columns.join(", ")
    }

    /// For people.
    pub fn label(&self) -> String {
        format!("{}.{}", self.schema, self.name)
    }
}

/// An identifier in double quotes.
pub(super) fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A column with its schema and table.
#[derive(Debug, FromRow)]
struct Found {
    schema: String,
    table: String,
    name: String,
    data_type: Option<String>,
    modifier: i32,
    nullable: bool,
}

/// The tables, each after those that it refers to.
pub(super) async fn carried(connection: &mut PgConnection) -> sqlx::Result<Vec<Table>> {
    let columns: Vec<Found> = query_as(
        "select n.nspname::text as schema, c.relname::text as table, a.attname::text as name,
             case when t.typnamespace = 'pg_catalog'::regnamespace then t.typname::text
                 end as data_type,
             a.atttypmod as modifier, not a.attnotnull as nullable
         from pg_catalog.pg_class as c
         join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
         join pg_catalog.pg_attribute as a on a.attrelid = c.oid
         join pg_catalog.pg_type as t on t.oid = a.atttypid
         where n.nspname::text = any ($1) and c.relkind in ('r', 'p') and not c.relispartition
             and n.nspname || '.' || c.relname <> all ($2)
             and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
             and n.nspname || '.' || c.relname || '.' || a.attname <> all ($3)
             and a.atttypid not in ('pg_catalog.xid'::regtype, 'pg_catalog.xid8'::regtype,
                 'pg_catalog.pg_snapshot'::regtype)
         order by n.nspname, c.relname, a.attnum",
    )
    .bind(SCHEMAS.map(str::to_owned).to_vec())
    .bind(OF_THE_PLACE.map(str::to_owned).to_vec())
    .bind(COLUMNS_OF_THE_PLACE.map(str::to_owned).to_vec())
    .persistent(false)
    .fetch_all(&mut *connection)
    .await?;
    let references: Vec<(String, String)> = query_as(
        "select f.nspname || '.' || r.relname, t.nspname || '.' || d.relname
         from pg_catalog.pg_constraint as c
         join pg_catalog.pg_class as r on r.oid = c.conrelid
         join pg_catalog.pg_namespace as f on f.oid = r.relnamespace
         join pg_catalog.pg_class as d on d.oid = c.confrelid
         join pg_catalog.pg_namespace as t on t.oid = d.relnamespace
         where c.contype = 'f' and c.conrelid <> c.confrelid",
    )
    .persistent(false)
    .fetch_all(connection)
    .await?;
    Ok(in_order(in_tables(columns), &references))
}

/// Columns of one table are next to each other.
fn in_tables(columns: Vec<Found>) -> Vec<Table> {
    let mut tables: Vec<Table> = Vec::new();
    for found in columns {
        let column = Column {
            name: found.name,
            data_type: found.data_type,
            modifier: found.modifier,
            nullable: found.nullable,
        };
        match tables.last_mut() {
            Some(table) if (&table.schema, &table.name) == (&found.schema, &found.table) => {
                table.columns.push(column);
            }
            _ => tables.push(Table {
                schema: found.schema,
                name: found.table,
                columns: vec![column],
            }),
        }
    }
    tables
}

/// Sorts the tables so that each comes after those that it refers to. Tables in a circle, of which
/// the platform has none, come last as they are.
fn in_order(mut waiting: Vec<Table>, references: &[(String, String)]) -> Vec<Table> {
    let mut ordered: Vec<Table> = Vec::with_capacity(waiting.len());
    loop {
        let is_waiting = |label: &String| waiting.iter().any(|table| &table.label() == label);
        let (free, bound): (Vec<_>, Vec<_>) = waiting.iter().cloned().partition(|table| {
            let label = table.label();
            !references
                .iter()
                .any(|(from, to)| *from == label && is_waiting(to))
        });
        let stuck = free.is_empty();
        ordered.extend(if stuck { waiting } else { free });
        if stuck || bound.is_empty() {
            return ordered;
        }
        waiting = bound;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(name: &str) -> Table {
        Table {
            schema: "s".to_owned(),
            name: name.to_owned(),
            columns: Vec::new(),
        }
    }

    #[test]
    fn tables_follow_those_that_they_refer_to() {
        let references = [("s.a", "s.c"), ("s.c", "s.b"), ("s.a", "other.t")]
            .map(|(from, to)| (from.to_owned(), to.to_owned()));
        let ordered = in_order(vec![table("a"), table("b"), table("c")], &references);
        let names: Vec<_> = ordered.iter().map(|it| it.name.as_str()).collect();
        assert_eq!(names, ["b", "c", "a"]);
        let circle = [("s.a", "s.b"), ("s.b", "s.a")];
        let circle = circle.map(|(from, to)| (from.to_owned(), to.to_owned()));
        assert_eq!(in_order(vec![table("a"), table("b")], &circle).len(), 2);
    }
}
