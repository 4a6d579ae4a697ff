//! The catalogues of a database as lines of text, and what must be equal between two databases.

use ingot_schema::{latest_version, migrate, migrate_to};
use sqlx::PgConnection;

use crate::database::{EmptyDatabase, execute};

/// Every object of the platform with everything about it but object ids, one line each.
const CATALOGUE: &str = "
with platform_schema as (
    select * from pg_namespace
    where nspname !~ '^pg_' and nspname <> 'information_schema'
),
line (text) as (
    select concat_ws(' ', 'schema', nspname, nspowner::regrole, sorted(nspacl::text[]))
    from platform_schema
    union all
    select concat_ws(' ', 'relation', oid::regclass, relkind, relowner::regrole, relpersistence,
        relrowsecurity, relforcerowsecurity, relreplident, reloptions, sorted(relacl::text[]))
    from pg_class where relnamespace in (select oid from platform_schema)
    union all
    select concat_ws(' ', 'column', a.attrelid::regclass, a.attnum, a.attname,
        format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attisdropped, a.attidentity,
        a.attgenerated, a.attcollation::regcollation, sorted(a.attacl::text[]),
        pg_get_expr(d.adbin, d.adrelid))
    from pg_attribute as a
    join pg_class as c on c.oid = a.attrelid
    left join pg_attrdef as d on (d.adrelid, d.adnum) = (a.attrelid, a.attnum)
    where c.relnamespace in (select oid from platform_schema) and a.attnum > 0
    union all
    select concat_ws(' ', 'constraint', conrelid::regclass, conname, pg_get_constraintdef(oid))
    from pg_constraint where connamespace in (select oid from platform_schema)
    union all
    select concat_ws(' ', 'index', pg_get_indexdef(i.indexrelid), i.indisvalid)
    from pg_index as i join pg_class as c on c.oid = i.indexrelid
    where c.relnamespace in (select oid from platform_schema)
    union all
    select concat_ws(' ', 'function', pg_get_functiondef(oid), proowner::regrole,
        sorted(proacl::text[]))
    from pg_proc where pronamespace in (select oid from platform_schema) and prokind <> 'a'
    union all
    select concat_ws(' ', 'trigger', pg_get_triggerdef(t.oid), t.tgenabled)
    from pg_trigger as t join pg_class as c on c.oid = t.tgrelid
    where c.relnamespace in (select oid from platform_schema) and not t.tgisinternal
    union all
    select concat_ws(' ', 'policy', polrelid::regclass, polname, polcmd, polpermissive,
        polroles::regrole[], pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid))
    from pg_policy
    union all
    select concat_ws(' ', 'default privileges', defaclrole::regrole,
        defaclnamespace::regnamespace, defaclobjtype, sorted(defaclacl::text[]))
    from pg_default_acl
    union all
    select concat_ws(' ', 'event trigger', evtname, evtevent, evttags, evtfoid::regproc,
        evtenabled, evtowner::regrole)
    from pg_event_trigger
    union all
    select concat_ws(' ', 'type', oid::regtype, typtype, typowner::regrole, sorted(typacl::text[]))
    from pg_type
    where typnamespace in (select oid from platform_schema) and typtype in ('d', 'e', 'r')
    union all
    select concat_ws(' ', 'extension', extname, extversion, extnamespace::regnamespace)
    from pg_extension
    union all
    select concat_ws(' ', 'seeded', template_type, subject, body_html) from email.templates
    union all
    select concat_ws(' ', 'seeded', enabled, host, port, min_interval_seconds) from email.config
    union all
    select concat_ws(' ', 'seeded', retention_days) from realtime.config
    union all
    select concat_ws(' ', 'seeded', max_file_size_mb) from storage.config
    union all
    select concat_ws(' ', 'seeded', backup_enabled, backup_cron_schedule, backup_retention_days)
    from system.database_config
    union all
    select concat_ws(' ', 'seeded', project) from system.metadata
    union all
    select concat_ws(' ', 'step', number, name, checksum) from system.schema_steps
)
select text from line order by text";

async fn catalogue(connection: &mut PgConnection) -> Vec<String> {
    // Grants of one object come in the order in which they were made.
    execute(
        connection,
        "create or replace function pg_temp.sorted(text[]) returns text[] language sql
         return array(select unnest($1) order by 1)",
    )
    .await
    .unwrap();
    let query = CATALOGUE.replace("sorted(", "pg_temp.sorted(");
    sqlx::query_scalar(sqlx::AssertSqlSafe(query))
        .fetch_all(connection)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_fresh_database_equals_one_migrated_from_any_earlier_step() {
    let fresh = EmptyDatabase::create("fresh").await;
    let mut owner = fresh.owner().await;
    migrate(&mut owner).await.unwrap();
    let expected = catalogue(&mut owner).await;
    assert!(expected.len() > 300, "only {} objects", expected.len());

    for earlier in 0..latest_version() {
        let aged = EmptyDatabase::create(&format!("from_{earlier}")).await;
        // Two connections, as two releases would have: nothing may rest on a session.
        let applied = migrate_to(&mut aged.owner().await, earlier).await.unwrap();
        assert_eq!(applied.len(), earlier as usize);
        let mut owner = aged.owner().await;
        migrate(&mut owner).await.unwrap();
        let found = catalogue(&mut owner).await;
        let differing: Vec<_> = found
            .iter()
            .filter(|line| !expected.contains(line))
            .chain(expected.iter().filter(|line| !found.contains(line)))
            .collect();
        assert!(differing.is_empty(), "from step {earlier}: {differing:#?}");
        drop(owner);
        aged.drop().await;
    }
    drop(owner);
    fresh.drop().await;
}
