//! The catalogue, read as the administrator. Objects of tables whose names start with `_` are left
//! out, as the contract says.

use serde::Serialize;
use sqlx::postgres::PgRow;
use sqlx::{FromRow, PgPool};

/// Which part of a listing is wanted.
#[derive(Debug, Default)]
pub(super) struct Part {
    /// Words that the name of the object or of its table contains, in any case.
    pub(super) search: Option<String>,
    /// Most objects; all when there is no limit.
    pub(super) limit: Option<i64>,
    /// Objects to leave out first.
    pub(super) offset: i64,
}

/// The rows of `query`, whose parameters are the schema and the fields of `part`.
async fn list<T>(
    query: &'static str,
    pool: &PgPool,
    schema: &str,
    part: &Part,
) -> sqlx::Result<Vec<T>>
where
    T: for<'row> FromRow<'row, PgRow> + Send + Unpin,
{
    sqlx::query_as(query)
        .bind(schema)
        .bind(&part.search)
        .bind(part.limit)
        .bind(part.offset)
        .fetch_all(pool)
        .await
}

#[derive(Debug, Serialize, FromRow, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct SchemaEntry {
    name: String,
    is_protected: bool,
}

/// `public` first, then schemas that the administrator may create in, then the platform's.
pub(super) async fn schemas(pool: &PgPool) -> sqlx::Result<Vec<SchemaEntry>> {
    sqlx::query_as(
        "select nspname::text as name,
                not has_schema_privilege('project_admin', oid, 'CREATE') as is_protected
         from pg_catalog.pg_namespace
         where nspname <> 'information_schema' and nspname not like 'pg\\_%'
         order by nspname <> 'public',
                  not has_schema_privilege('project_admin', oid, 'CREATE'), nspname",
    )
    .fetch_all(pool)
    .await
}

#[allow(clippy::struct_field_names, reason = "the names are those of the wire")]
#[derive(Debug, Serialize, FromRow, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Function {
    function_name: String,
    function_def: String,
    kind: String,
}

/// Functions, procedures and window functions that belong to no extension.
pub(super) async fn functions(
    pool: &PgPool,
    schema: &str,
    part: &Part,
) -> sqlx::Result<Vec<Function>> {
    list(
        "select p.proname::text as function_name, pg_get_functiondef(p.oid) as function_def,
                p.prokind::text as kind
         from pg_catalog.pg_proc p
         join pg_catalog.pg_namespace n on n.oid = p.pronamespace
         where n.nspname = $1 and p.prokind in ('f', 'p', 'w')
           and not exists (select from pg_catalog.pg_depend d
               where d.classid = 'pg_catalog.pg_proc'::regclass and d.objid = p.oid
                 and d.deptype = 'e')
           and ($2::text is null or position(lower($2) in lower(p.proname)) > 0)
         order by p.proname, p.oid
         limit $3 offset $4",
        pool,
        schema,
        part,
    )
    .await
}

#[allow(clippy::struct_field_names, reason = "the names are those of the wire")]
#[derive(Debug, Serialize, FromRow, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Index {
    table_name: String,
    index_name: String,
    index_def: String,
    is_unique: bool,
    is_primary: bool,
}

pub(super) async fn indexes(pool: &PgPool, schema: &str, part: &Part) -> sqlx::Result<Vec<Index>> {
    list(
        "select t.relname::text as table_name, i.relname::text as index_name,
                pg_get_indexdef(i.oid) as index_def, x.indisunique as is_unique,
                x.indisprimary as is_primary
         from pg_catalog.pg_index x
         join pg_catalog.pg_class i on i.oid = x.indexrelid
         join pg_catalog.pg_class t on t.oid = x.indrelid
         join pg_catalog.pg_namespace n on n.oid = t.relnamespace
         where n.nspname = $1 and t.relname not like '\\_%'
           and ($2::text is null or position(lower($2) in lower(t.relname)) > 0
             or position(lower($2) in lower(i.relname)) > 0)
         order by t.relname, i.relname
         limit $3 offset $4",
        pool,
        schema,
        part,
    )
    .await
}

/// A policy. `roles` is an array, as the published schema says.
#[allow(clippy::struct_field_names, reason = "the names are those of the wire")]
#[derive(Debug, Serialize, FromRow, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Policy {
    table_name: String,
    policy_name: String,
    cmd: String,
    roles: Vec<String>,
    qual: Option<String>,
    with_check: Option<String>,
}

pub(super) async fn policies(
    pool: &PgPool,
    schema: &str,
    part: &Part,
) -> sqlx::Result<Vec<Policy>> {
    list(
        "select tablename::text as table_name, policyname::text as policy_name, cmd,
                roles::text[] as roles, qual, with_check
         from pg_catalog.pg_policies
         where schemaname = $1 and tablename not like '\\_%'
           and ($2::text is null or position(lower($2) in lower(tablename)) > 0
             or position(lower($2) in lower(policyname)) > 0)
         order by tablename, policyname
         limit $3 offset $4",
        pool,
        schema,
        part,
    )
    .await
}

#[allow(clippy::struct_field_names, reason = "the names are those of the wire")]
#[derive(Debug, Serialize, FromRow, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Trigger {
    table_name: String,
    trigger_name: String,
    action_timing: String,
    event_manipulation: String,
    action_orientation: String,
    action_condition: Option<String>,
    action_statement: String,
}

/// One row for each event of a trigger, also on tables that the administrator may only read:
/// `information_schema.triggers` would hide those.
pub(super) async fn triggers(
    pool: &PgPool,
    schema: &str,
    part: &Part,
) -> sqlx::Result<Vec<Trigger>> {
    list(
        "select c.relname::text as table_name, t.tgname::text as trigger_name,
                case when t.tgtype & 2 > 0 then 'BEFORE' when t.tgtype & 64 > 0 then 'INSTEAD OF'
                     else 'AFTER' end as action_timing,
                e.event as event_manipulation,
                case when t.tgtype & 1 > 0 then 'ROW' else 'STATEMENT' end as action_orientation,
                substring(d.definition from ' WHEN \\((.*)\\) EXECUTE ') as action_condition,
                substring(d.definition from '(EXECUTE (?:FUNCTION|PROCEDURE) .*)$')
                    as action_statement
         from pg_catalog.pg_trigger t
         join pg_catalog.pg_class c on c.oid = t.tgrelid
         join pg_catalog.pg_namespace n on n.oid = c.relnamespace
         cross join lateral (select pg_get_triggerdef(t.oid) as definition) d
         join (values (4, 'INSERT'), (8, 'DELETE'), (16, 'UPDATE'), (32, 'TRUNCATE'))
             as e (bit, event) on t.tgtype & e.bit > 0
         where n.nspname = $1 and not t.tgisinternal and c.relname not like '\\_%'
           and ($2::text is null or position(lower($2) in lower(c.relname)) > 0
             or position(lower($2) in lower(t.tgname)) > 0)
         order by c.relname, t.tgname, e.event
         limit $3 offset $4",
        pool,
        schema,
        part,
    )
    .await
}
