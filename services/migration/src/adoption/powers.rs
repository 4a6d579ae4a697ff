//! What the other platform let an administrator do as a superuser, and what that may have left:
//! objects of the owner's that run code, on tables that services work with. It is taken back.

use ingot_schema::{PROJECT_POLICIES, PROJECT_TRIGGERS};
use sqlx::{PgConnection, query_as, query_scalar};

use super::replay::platform_tables;
use super::{AdoptionError, Journal, run};

/// What was dropped and may come back with the steps.
#[derive(Debug)]
pub(super) struct Shed {
    /// Table and name.
    triggers: Vec<(String, String)>,
}

/// Before the steps run: nothing of the project's is in their way or would run as the owner.
pub(super) async fn shed_before(
    connection: &mut PgConnection,
    journal: &mut Journal,
) -> Result<Shed, AdoptionError> {
    let tables = platform_tables()?;
    let mut closed = tables.clone();
    closed.retain(|table| !PROJECT_POLICIES.contains(&table.as_str()));
    drop_each(
        connection,
        "select format('event trigger %I', e.evtname), format('the event trigger %I', e.evtname)
         from pg_catalog.pg_event_trigger as e
         where $1::text[] is not null and not exists (
             select from pg_catalog.pg_depend as d
             where d.classid = 'pg_catalog.pg_event_trigger'::pg_catalog.regclass
                 and d.objid = e.oid and d.deptype = 'e')",
        &tables,
        journal,
    )
    .await?;
    drop_each(
        connection,
        "select format('rule %I on %s', r.rulename, r.ev_class::pg_catalog.regclass),
             format('the rule %I of %s', r.rulename, r.ev_class::pg_catalog.regclass)
         from pg_catalog.pg_rewrite as r
         where r.ev_class in (select pg_catalog.to_regclass(name) from unnest($1) as name)",
        &tables,
        journal,
    )
    .await?;
    drop_each(
        connection,
        "select format('policy %I on %s', p.polname, p.polrelid::pg_catalog.regclass),
             format('the policy %I of %s', p.polname, p.polrelid::pg_catalog.regclass)
         from pg_catalog.pg_policy as p
         where p.polname = 'project_admin_policy'
             or p.polrelid in (select pg_catalog.to_regclass(name) from unnest($1) as name)",
        &closed,
        journal,
    )
    .await?;
    for table in &closed {
        let sql = format!("alter table if exists {table} disable row level security");
        run(connection, &sql, format!("opening {table} to services")).await?;
    }
    let triggers: Vec<(String, String)> = query_as(
        "select g.tgrelid::pg_catalog.regclass::text, pg_catalog.quote_ident(g.tgname)
         from pg_catalog.pg_trigger as g
         where not g.tgisinternal
             and g.tgrelid in (select pg_catalog.to_regclass(name) from unnest($1) as name)
             and g.tgrelid::pg_catalog.regclass::text <> all ($2)",
    )
    .bind(&tables)
    .bind(PROJECT_TRIGGERS)
    .fetch_all(&mut *connection)
    .await?;
    for (table, trigger) in &triggers {
        let sql = format!("drop trigger {trigger} on {table}");
        run(connection, &sql, format!("dropping a trigger of {table}")).await?;
    }
    Ok(Shed { triggers })
}

/// Drops what the query names; its first column is what to drop, the second how people call it.
async fn drop_each(
    connection: &mut PgConnection,
    query: &'static str,
    tables: &[String],
    journal: &mut Journal,
) -> Result<(), AdoptionError> {
    let found: Vec<(String, String)> = query_as(query)
        .bind(tables)
        .fetch_all(&mut *connection)
        .await?;
    for (object, name) in found {
        run(
            connection,
            &format!("drop {object}"),
            format!("dropping {name}"),
        )
        .await?;
        journal.did(format!("{name} was dropped"));
    }
    Ok(())
}

/// After the steps: objects of the project are its administrator's, and the roles are weak.
pub(super) async fn shed_after(
    connection: &mut PgConnection,
    shed: Shed,
    journal: &mut Journal,
) -> Result<(), AdoptionError> {
    for (table, trigger) in shed.triggers {
        let back: bool = query_scalar(
            "select exists (select from pg_catalog.pg_trigger
                 where tgrelid = $1::pg_catalog.regclass
                     and pg_catalog.quote_ident(tgname) = $2)",
        )
        .bind(&table)
        .bind(&trigger)
        .fetch_one(&mut *connection)
        .await?;
        if !back {
            journal.did(format!(
                "the trigger {trigger} of {table} was dropped: code on this table would run as services"
            ));
        }
    }
    weaken_roles(connection, journal).await?;
    hand_over(connection, journal).await?;
    close_functions(connection, journal).await
}

/// Makes the group roles what step 1 makes of new ones.
async fn weaken_roles(
    connection: &mut PgConnection,
    journal: &mut Journal,
) -> Result<(), AdoptionError> {
    let memberships: Vec<(String, String)> = query_as(
        "select pg_catalog.quote_ident(g.rolname), pg_catalog.quote_ident(r.rolname)
         from pg_catalog.pg_auth_members as m
         join pg_catalog.pg_roles as g on g.oid = m.roleid
         join pg_catalog.pg_roles as r on r.oid = m.member
         where r.rolname in ('anon', 'authenticated', 'project_admin')
             and g.rolname <> 'ingot_row_security'",
    )
    .fetch_all(&mut *connection)
    .await?;
    for (group, role) in memberships {
        run(
            connection,
            &format!("revoke {group} from {role}"),
            "weakening roles",
        )
        .await?;
        journal.did(format!("{role} is no member of {group} any more"));
    }
    let strong: Vec<String> = query_scalar(
        "select rolname::text from pg_catalog.pg_roles
         where rolname in ('anon', 'authenticated', 'project_admin')
             and (rolsuper or rolcreaterole or rolcreatedb or rolcanlogin or rolreplication
                 or rolbypassrls and rolname <> 'project_admin')
         order by rolname",
    )
    .fetch_all(&mut *connection)
    .await?;
    for role in strong {
        let rows = if role == "project_admin" {
            "bypassrls"
        } else {
            "nobypassrls"
        };
        let sql = format!(
            "alter role {role} nosuperuser nocreaterole nocreatedb nologin noreplication {rows}"
        );
        run(connection, &sql, "weakening roles").await?;
        journal.did(format!(
            "{role} has no attributes of a superuser or login any more"
        ));
    }
    Ok(())
}

/// Gives the administrator every object outside of the platforms' schemas that no extension owns.
async fn hand_over(
    connection: &mut PgConnection,
    journal: &mut Journal,
) -> Result<(), AdoptionError> {
    let objects: Vec<(String, String)> = query_as(include_str!("objects.sql"))
        .fetch_all(&mut *connection)
        .await?;
    for (kind, name) in &objects {
        let sql = format!("alter {kind} {name} owner to project_admin");
        run(
            connection,
            &sql,
            format!("giving {kind} {name} to project_admin"),
        )
        .await?;
    }
    if !objects.is_empty() {
        journal.did(format!(
            "{} objects of the project belong to project_admin now",
            objects.len()
        ));
    }
    Ok(())
}

/// Functions in the platform's schemas that run as the owner and that no step made.
async fn close_functions(
    connection: &mut PgConnection,
    journal: &mut Journal,
) -> Result<(), AdoptionError> {
    let known: String = ingot_schema::STEPS.iter().map(|step| step.sql).collect();
    let functions: Vec<(String, String)> = query_as(
        "select p.oid::pg_catalog.regprocedure::text, n.nspname || '.' || p.proname
         from pg_catalog.pg_proc as p
         join pg_catalog.pg_namespace as n on n.oid = p.pronamespace
         where p.prosecdef and n.nspname in
             ('auth', 'system', 'realtime', 'storage', 'functions', 'email', 'schedules',
              'payments', 'compute', 'deployments', 'memory')",
    )
    .fetch_all(&mut *connection)
    .await?;
    for (signature, name) in functions {
        if known.contains(&format!("create function {name}(")) {
            continue;
        }
        let sql = format!(
            "revoke all on routine {signature} from public, anon, authenticated, project_admin"
        );
        run(connection, &sql, format!("closing {name}")).await?;
        journal.did(format!(
            "{name} runs as the owner and is executable by nobody else now"
        ));
    }
    let untrusted: Vec<String> = query_scalar(
        "select p.oid::pg_catalog.regprocedure::text
         from pg_catalog.pg_proc as p
         join pg_catalog.pg_language as l on l.oid = p.prolang
         join pg_catalog.pg_namespace as n on n.oid = p.pronamespace
         where not l.lanpltrusted and l.lanname <> 'internal'
             and n.nspname not in ('pg_catalog', 'information_schema')
             and not exists (
                 select from pg_catalog.pg_depend as d
                 where d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass
                     and d.objid = p.oid and d.deptype = 'e')",
    )
    .fetch_all(connection)
    .await?;
    for function in untrusted {
        journal.remark(format!(
            "{function} is in an untrusted language and reaches the server's files: drop it unless \
             you know why it is there"
        ));
    }
    Ok(())
}
