//! DDL and the catalogue of tables. Everything runs in the caller's transaction as `project_admin`,
//! who therefore owns what is created.

use std::fmt::Write;

use sqlx::{AssertSqlSafe, FromRow, PgConnection, PgPool};

use super::description::{Action, ColumnPair, ForeignKey};
use crate::database::{TableName, quote};

/// A column to be made; every part is SQL already but the name.
#[derive(Debug)]
pub(super) struct ColumnDefinition {
    pub(super) name: String,
    pub(super) sql_type: &'static str,
    pub(super) is_nullable: bool,
    pub(super) is_unique: bool,
    pub(super) default: Option<String>,
}

impl ColumnDefinition {
    fn sql(&self) -> String {
        let mut sql = format!("{} {}", quote(&self.name), self.sql_type);
        if !self.is_nullable {
            sql.push_str(" NOT NULL");
        }
        if self.is_unique {
            sql.push_str(" UNIQUE");
        }
        if let Some(default) = &self.default {
            sql.push_str(" DEFAULT ");
            sql.push_str(default);
        }
        sql
    }
}

/// A foreign key to be made.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) name: String,
    pub(super) source_columns: Vec<String>,
    pub(super) reference: TableName,
    pub(super) reference_columns: Vec<String>,
    pub(super) on_delete: Action,
    pub(super) on_update: Action,
}

impl Key {
    fn sql(&self) -> String {
        let list = |names: &[String]| {
            names
                .iter()
                .map(|n| quote(n))
                .collect::<Vec<_>>()
                .join(", ")
        };
        format!(
            "CONSTRAINT {} FOREIGN KEY ({}) REFERENCES {} ({}) ON DELETE {} ON UPDATE {}",
            quote(&self.name),
            list(&self.source_columns),
            self.reference.quoted(),
            list(&self.reference_columns),
            action_sql(self.on_delete),
            action_sql(self.on_update),
        )
    }
}

fn action_sql(action: Action) -> &'static str {
    match action {
        Action::Cascade => "CASCADE",
        Action::SetNull => "SET NULL",
        Action::SetDefault => "SET DEFAULT",
        Action::Restrict => "RESTRICT",
        Action::NoAction => "NO ACTION",
    }
}

/// One change of a table.
#[derive(Debug)]
pub(super) enum Step {
    DropConstraint(String),
    DropColumn(String),
    /// A new default as SQL; `None` drops the default.
    SetDefault(String, Option<String>),
    RenameColumn(String, String),
    AddColumn(ColumnDefinition),
    AddForeignKey(Key),
    RenameTable(String),
}

async fn run(connection: &mut PgConnection, sql: String) -> sqlx::Result<()> {
    // Names are quoted and values are literals by the code above.
    sqlx::raw_sql(AssertSqlSafe(sql))
        .execute(connection)
        .await?;
    Ok(())
}

pub(super) async fn create(
    connection: &mut PgConnection,
    table: &TableName,
    columns: &[ColumnDefinition],
    keys: &[Key],
    row_level_security: bool,
) -> sqlx::Result<()> {
    let name = table.quoted();
    let mut sql = format!("CREATE TABLE {name} (id UUID PRIMARY KEY DEFAULT gen_random_uuid()");
    let own = columns.iter().map(ColumnDefinition::sql);
    let kept =
        ["created_at", "updated_at"].map(|column| format!("{column} TIMESTAMPTZ DEFAULT now()"));
    for part in own.chain(kept).chain(keys.iter().map(Key::sql)) {
        sql.push_str(", ");
        sql.push_str(&part);
    }
    sql.push_str(");\n");
    if row_level_security {
        // Writing to a string cannot fail.
        let _ = writeln!(sql, "ALTER TABLE {name} ENABLE ROW LEVEL SECURITY;");
    }
    let trigger = quote(&format!("{}_update_timestamp", table.table));
    let _ = writeln!(
        sql,
        "CREATE TRIGGER {trigger} BEFORE UPDATE ON {name} FOR EACH ROW \
         EXECUTE FUNCTION system.update_updated_at();"
    );
    run(connection, sql).await?;
    request_reload(connection).await
}

pub(super) async fn apply(
    connection: &mut PgConnection,
    table: &TableName,
    step: &Step,
) -> sqlx::Result<()> {
    let change = match step {
        Step::DropConstraint(name) => format!("DROP CONSTRAINT {}", quote(name)),
        Step::DropColumn(name) => format!("DROP COLUMN {}", quote(name)),
        Step::SetDefault(name, Some(default)) => {
            format!("ALTER COLUMN {} SET DEFAULT {default}", quote(name))
        }
        Step::SetDefault(name, None) => format!("ALTER COLUMN {} DROP DEFAULT", quote(name)),
        Step::RenameColumn(name, new) => format!("RENAME COLUMN {} TO {}", quote(name), quote(new)),
        Step::AddColumn(column) => format!("ADD COLUMN {}", column.sql()),
        Step::AddForeignKey(key) => format!("ADD {}", key.sql()),
        Step::RenameTable(new) => format!("RENAME TO {}", quote(new)),
    };
    run(
        connection,
        format!("ALTER TABLE {} {change}", table.quoted()),
    )
    .await
}

pub(super) async fn drop_table(
    connection: &mut PgConnection,
    table: &TableName,
) -> sqlx::Result<()> {
    run(
        connection,
        format!("DROP TABLE IF EXISTS {} CASCADE", table.quoted()),
    )
    .await?;
    request_reload(connection).await
}

/// Asks the records engines to read the schema again when the transaction commits.
pub(super) async fn request_reload(connection: &mut PgConnection) -> sqlx::Result<()> {
    run(connection, "NOTIFY pgrst, 'reload schema'".to_owned()).await
}

pub(super) async fn tables(pool: &PgPool, schema: &str) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar(
        "select c.relname::text
         from pg_catalog.pg_class c
         join pg_catalog.pg_namespace n on n.oid = c.relnamespace
         where n.nspname = $1 and c.relkind in ('r', 'p')
         order by c.relname",
    )
    .bind(schema)
    .fetch_all(pool)
    .await
}

pub(super) async fn exists(connection: &mut PgConnection, table: &TableName) -> sqlx::Result<bool> {
    sqlx::query_scalar(
        "select exists (
             select from pg_catalog.pg_class c
             join pg_catalog.pg_namespace n on n.oid = c.relnamespace
             where n.nspname = $1 and c.relname = $2 and c.relkind in ('r', 'p', 'v', 'm', 'f'))",
    )
    .bind(&table.schema)
    .bind(&table.table)
    .fetch_one(connection)
    .await
}

/// A column of the catalogue, with the type names of `information_schema`.
#[derive(Debug, FromRow)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) data_type: String,
    pub(super) type_name: String,
    pub(super) is_nullable: bool,
    pub(super) default: Option<String>,
    pub(super) is_primary_key: bool,
    pub(super) is_unique: bool,
}

/// The columns in their order; none if there is no such table or view.
pub(super) async fn columns(
    connection: &mut PgConnection,
    table: &TableName,
) -> sqlx::Result<Vec<Column>> {
    sqlx::query_as(
        "select a.attname::text as name,
                case when t.typlen = -1 and t.typelem <> 0 then 'ARRAY'
                     when tn.nspname = 'pg_catalog' then pg_catalog.format_type(t.oid, null)
                     else 'USER-DEFINED' end as data_type,
                t.typname::text as type_name,
                not (a.attnotnull or (d.typtype = 'd' and d.typnotnull)) as is_nullable,
                pg_catalog.pg_get_expr(def.adbin, def.adrelid) as default,
                coalesce(k.is_primary, false) as is_primary_key,
                k.conrelid is not null as is_unique
         from pg_catalog.pg_attribute a
         join pg_catalog.pg_class c on c.oid = a.attrelid
         join pg_catalog.pg_namespace n on n.oid = c.relnamespace
         join pg_catalog.pg_type d on d.oid = a.atttypid
         join pg_catalog.pg_type t
             on t.oid = case when d.typtype = 'd' then d.typbasetype else d.oid end
         join pg_catalog.pg_namespace tn on tn.oid = t.typnamespace
         left join pg_catalog.pg_attrdef def on def.adrelid = c.oid and def.adnum = a.attnum
         left join (
             select conrelid, unnest(conkey) as attnum, bool_or(contype = 'p') as is_primary
             from pg_catalog.pg_constraint where contype in ('p', 'u') group by 1, 2
         ) k on k.conrelid = c.oid and k.attnum = a.attnum
         where n.nspname = $1 and c.relname = $2 and c.relkind in ('r', 'p', 'v', 'm', 'f')
           and a.attnum > 0 and not a.attisdropped
         order by a.attnum",
    )
    .bind(&table.schema)
    .bind(&table.table)
    .fetch_all(connection)
    .await
}

#[derive(FromRow)]
struct KeyRow {
    name: String,
    reference_schema: String,
    reference_table: String,
    source_columns: Vec<String>,
    reference_columns: Vec<String>,
    on_delete: String,
    on_update: String,
}

/// The foreign keys by name, their columns paired in key order.
pub(super) async fn foreign_keys(
    connection: &mut PgConnection,
    table: &TableName,
) -> sqlx::Result<Vec<ForeignKey>> {
    let rows: Vec<KeyRow> = sqlx::query_as(
        "select k.conname::text as name, rn.nspname::text as reference_schema,
                r.relname::text as reference_table,
                array(select a.attname::text from unnest(k.conkey) with ordinality u (num, place)
                      join pg_catalog.pg_attribute a on a.attrelid = k.conrelid and a.attnum = u.num
                      order by u.place) as source_columns,
                array(select a.attname::text from unnest(k.confkey) with ordinality u (num, place)
                      join pg_catalog.pg_attribute a on a.attrelid = k.confrelid and a.attnum = u.num
                      order by u.place) as reference_columns,
                k.confdeltype::text as on_delete, k.confupdtype::text as on_update
         from pg_catalog.pg_constraint k
         join pg_catalog.pg_class c on c.oid = k.conrelid
         join pg_catalog.pg_namespace n on n.oid = c.relnamespace
         join pg_catalog.pg_class r on r.oid = k.confrelid
         join pg_catalog.pg_namespace rn on rn.oid = r.relnamespace
         where k.contype = 'f' and n.nspname = $1 and c.relname = $2
         order by k.conname",
    )
    .bind(&table.schema)
    .bind(&table.table)
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(ForeignKey::from).collect())
}

impl From<KeyRow> for ForeignKey {
    fn from(row: KeyRow) -> Self {
        let pairs = row.source_columns.into_iter().zip(row.reference_columns);
        Self {
            constraint_name: Some(row.name),
            reference_table: if row.reference_schema == "public" {
                row.reference_table
            } else {
                format!("{}.{}", row.reference_schema, row.reference_table)
            },
            reference_columns: pairs
                .map(|(source_column, reference_column)| ColumnPair {
                    source_column,
                    reference_column,
                })
                .collect(),
            on_delete: action(&row.on_delete),
            on_update: action(&row.on_update),
        }
    }
}

/// An action by its code in `pg_constraint`.
fn action(code: &str) -> Action {
    match code {
        "c" => Action::Cascade,
        "n" => Action::SetNull,
        "d" => Action::SetDefault,
        "r" => Action::Restrict,
        _ => Action::NoAction,
    }
}

pub(super) async fn count(connection: &mut PgConnection, table: &TableName) -> sqlx::Result<i64> {
    let sql = format!("select count(*) from {}", table.quoted());
    sqlx::query_scalar(AssertSqlSafe(sql))
        .fetch_one(connection)
        .await
}
