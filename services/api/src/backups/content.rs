//! What of the platform's tables is a project's and goes into its backups: accounts, channels, mail
//! texts, migrations, edge functions, and what the project defined on platform tables. Settings,
//! keys, secrets, sessions, logs and files are not part of it.

use std::io;

use futures::TryStreamExt;
use ingot_schema::{CREATE_POLICY, PROJECT_POLICIES, PROJECT_TRIGGERS};
use sqlx::{AssertSqlSafe, PgConnection, query_scalar};
use tokio::io::{AsyncWrite, AsyncWriteExt};

/// A table whose rows an administrator may write; they are brought back as him.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shared {
    pub(super) table: &'static str,
    /// Where its rows wait during a restore.
    pub(super) waiting: &'static str,
}

/// In the order of their references. All have the key `id`.
pub(super) const SHARED: [Shared; 4] = [
    Shared {
        table: "auth.users",
        waiting: "pg_temp.ingot_users",
    },
    Shared {
        table: "auth.user_providers",
        waiting: "pg_temp.ingot_user_providers",
    },
    Shared {
        table: "realtime.channels",
        waiting: "pg_temp.ingot_channels",
    },
    Shared {
        table: "email.templates",
        waiting: "pg_temp.ingot_templates",
    },
];

/// Tables that only services write, and that run no code of the project.
pub(super) const SERVICES: [&str; 2] = ["system.custom_migrations", "functions.definitions"];

/// The tables as an array of SQL.
fn array(tables: &[&str]) -> String {
    format!("array['{}']", tables.join("', '"))
}

/// Writes rows as `COPY ... FROM stdin` with their lines, as `psql` and an import read them.
pub(super) async fn write_rows(
    connection: &mut PgConnection,
    table: &str,
    into: &str,
    writer: &mut (impl AsyncWrite + Unpin),
) -> io::Result<()> {
    let columns = columns(connection, table).await.map_err(io::Error::other)?;
    let head = format!("COPY {into} ({columns}) FROM stdin;\n");
    writer.write_all(head.as_bytes()).await?;
    let copy = format!("copy {table} ({columns}) to stdout");
    let mut rows = connection
        .copy_out_raw(&copy)
        .await
        .map_err(io::Error::other)?;
    while let Some(bytes) = rows.try_next().await.map_err(io::Error::other)? {
        writer.write_all(&bytes).await?;
    }
    writer.write_all(b"\\.\n\n").await
}

/// Its columns that take values, quoted.
pub(super) async fn columns(connection: &mut PgConnection, table: &str) -> sqlx::Result<String> {
    query_scalar(
        "select string_agg(pg_catalog.quote_ident(attname), ', ' order by attnum)
         from pg_catalog.pg_attribute
         where attrelid = $1::pg_catalog.regclass and attnum > 0 and not attisdropped
             and attgenerated = ''",
    )
    .bind(table)
    .persistent(false)
    .fetch_one(connection)
    .await
}

/// What the project defined on platform tables, as statements: triggers, policies.
pub(super) async fn definitions(connection: &mut PgConnection) -> sqlx::Result<Vec<String>> {
    let (policies, triggers) = (array(&PROJECT_POLICIES), array(&PROJECT_TRIGGERS));
    let query = format!(
        "select definition from (
             select 1, regexp_replace(pg_catalog.pg_get_triggerdef(g.oid),
                 '^CREATE TRIGGER', 'CREATE OR REPLACE TRIGGER')
             from pg_catalog.pg_trigger as g
             where g.tgrelid::pg_catalog.regclass::text = any ({triggers})
                 and not g.tgisinternal
                 -- The platform's own.
                 and g.tgname <> 'guard_rows'
                 and g.tgname <> 'trg_payments_' || (
                     select relname from pg_catalog.pg_class where oid = g.tgrelid
                 ) || '_updated_at'
             union all
             select 2, format('alter table %s %s row level security', c.oid::pg_catalog.regclass,
                 case when c.relrowsecurity then 'enable' else 'disable' end)
             from pg_catalog.pg_class as c
             where c.oid::pg_catalog.regclass::text = any ({policies})
             union all
             select 3, {CREATE_POLICY}
             from pg_catalog.pg_policy as p
             where p.polrelid::pg_catalog.regclass::text = any ({policies})
         ) as object (place, definition)
         order by place, definition"
    );
    query_scalar(AssertSqlSafe(query))
        .persistent(false)
        .fetch_all(connection)
        .await
}

/// Removes the project from the database: what [`definitions`] told, and every object in schemas of
/// the project, with what depends on it. Extensions stay, and with them the schemas that they are in:
/// a dump of schemas does not have them.
pub(super) fn removal() -> String {
    let policies = array(&PROJECT_POLICIES);
    format!(
        "do $ingot$
         declare
             it record;
         begin
             -- What a restored table grants is in the backup; so are these defaults.
             for it in
                 select format('alter default privileges in schema %I revoke all on %s from %s', n.nspname,
                     case d.defaclobjtype when 'r' then 'tables' when 'S' then 'sequences'
                         when 'f' then 'functions' else 'types' end,
                     case a.grantee when 0 then 'public'
                         else pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantee)) end) as sql
                 from pg_catalog.pg_default_acl as d
                 join pg_catalog.pg_namespace as n on n.oid = d.defaclnamespace,
                     pg_catalog.aclexplode(d.defaclacl) as a
                 where d.defaclrole = 'project_admin'::pg_catalog.regrole and a.grantee <> d.defaclrole
             loop
                 execute it.sql;
             end loop;
             for it in
                 select format('drop policy %I on %s', p.polname, p.polrelid::pg_catalog.regclass) as sql
                 from pg_catalog.pg_policy as p
                 where p.polrelid::pg_catalog.regclass::text = any ({policies})
                 union all
                 select format('drop schema %I cascade', n.nspname)
                 from pg_catalog.pg_namespace as n
                 where system.is_exposed_schema(n.nspname) and n.nspname <> 'public'
                     and n.nspowner = 'project_admin'::pg_catalog.regrole
                     and not exists (
                         select from pg_catalog.pg_extension as e where e.extnamespace = n.oid
                     )
             loop
                 execute it.sql;
             end loop;
             for it in
                 select o.type, o.identity
                 from pg_catalog.pg_depend as d,
                     pg_catalog.pg_identify_object(d.classid, d.objid, 0) as o
                 where d.refclassid = 'pg_catalog.pg_namespace'::pg_catalog.regclass
                     and d.refobjid in (
                         select n.oid from pg_catalog.pg_namespace as n
                         where n.nspname = 'public' or system.is_exposed_schema(n.nspname)
                             and n.nspowner = 'project_admin'::pg_catalog.regrole
                     ) and d.deptype = 'n'
                     and d.classid not in ('pg_catalog.pg_default_acl'::pg_catalog.regclass,
                         'pg_catalog.pg_extension'::pg_catalog.regclass)
                     and not exists (
                         select from pg_catalog.pg_depend as member
                         where member.classid = d.classid and member.objid = d.objid
                             and member.deptype = 'e'
                     )
                     and not exists (
                         select from pg_catalog.pg_depend as part
                         where part.classid = d.classid and part.objid = d.objid
                             and (part.deptype = 'i'
                                 or part.deptype = 'a' and part.refclassid
                                     = 'pg_catalog.pg_class'::pg_catalog.regclass)
                     )
             loop
                 execute format('drop %s if exists %s cascade',
                     case it.type when 'composite type' then 'type' when 'statistics object' then 'statistics'
                         else it.type end,
                     it.identity);
             end loop;
         end
         $ingot$"
    )
}

/// The schemas of the project that a removal has left, as a dump makes them.
pub(super) async fn remaining_schemas(connection: &mut PgConnection) -> sqlx::Result<Vec<String>> {
    query_scalar(
        "select format('CREATE SCHEMA %I;', nspname) from pg_catalog.pg_namespace
         where system.is_exposed_schema(nspname) and nspname <> 'public'",
    )
    .persistent(false)
    .fetch_all(connection)
    .await
}
