//! Steps only add: what the services of the release before use stays as it is, so that they work on
//! while the new ones come up. What a release leaves unused, a later one may take away, and says so
//! in [`CONTRACTED`].

use std::collections::BTreeMap;

use ingot_schema::{latest_version, migrate_to};
use sqlx::PgConnection;

use crate::database::{EmptyDatabase, execute};

/// Step, and an object that it takes away or changes because no service of the release before uses
/// it any more.
const CONTRACTED: &[(u32, &str)] = &[
    // Only an event trigger called it, and the step replaces that.
    (9, "function system.on_ddl_command_start()"),
];

/// What services may rely on, by name, with what they may rely on. `required` are columns that an
/// insert must name.
const PROMISES: &str = "
select 'relation ' || c.oid::regclass, c.relkind::text
from pg_class as c join pg_namespace as n on n.oid = c.relnamespace
where c.relkind in ('r', 'v', 'p', 'm', 'S')
    and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
union all
select 'column ' || c.oid::regclass || '.' || quote_ident(a.attname),
    format_type(a.atttypid, a.atttypmod)
        || case
            when a.attnotnull and not a.atthasdef and a.attidentity = '' then ' required'
            else ''
        end
from pg_attribute as a
join pg_class as c on c.oid = a.attrelid
join pg_namespace as n on n.oid = c.relnamespace
where c.relkind in ('r', 'v', 'p', 'm') and a.attnum > 0 and not a.attisdropped
    and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
union all
select 'function ' || p.oid::regprocedure, pg_get_function_result(p.oid)
from pg_proc as p join pg_namespace as n on n.oid = p.pronamespace
where n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
";

type Promises = BTreeMap<String, String>;

async fn promises(connection: &mut PgConnection) -> Promises {
    let rows: Vec<(String, Option<String>)> = sqlx::query_as(PROMISES)
        .fetch_all(connection)
        .await
        .unwrap();
    rows.into_iter()
        .map(|(name, what)| (name, what.unwrap_or_default()))
        .collect()
}

/// What is not as it was promised.
fn broken(before: &Promises, after: &Promises) -> Vec<String> {
    let mut broken = Vec::new();
    for (name, was) in before {
        match after.get(name) {
            None => broken.push(format!("{name} is gone")),
            // What need not be named any more hurts nobody.
            Some(is) if is != was && *is != was.trim_end_matches(" required") => {
                broken.push(format!("{name} was {was} and is {is}"));
            }
            Some(_) => {}
        }
    }
    for (name, is) in after {
        let relation = name
            .strip_prefix("column ")
            .and_then(|column| column.rsplit_once('.'))
            .map(|(relation, _)| format!("relation {relation}"));
        let existed = relation.is_some_and(|relation| before.contains_key(&relation));
        if existed && !before.contains_key(name) && is.ends_with(" required") {
            broken.push(format!("{name} is new, and older services do not fill it"));
        }
    }
    broken
}

#[tokio::test]
async fn no_step_takes_away_or_changes_what_the_one_before_left() {
    let database = EmptyDatabase::create("expand").await;
    let mut owner = database.owner().await;
    let mut before = Promises::new();
    for step in 1..=latest_version() {
        migrate_to(&mut owner, step).await.unwrap();
        let after = promises(&mut owner).await;
        let mut broken = broken(&before, &after);
        broken.retain(|complaint| {
            !CONTRACTED
                .iter()
                .any(|(at, object)| *at == step && complaint.starts_with(object))
        });
        assert!(broken.is_empty(), "step {step}: {broken:#?}");
        before = after;
    }
    assert!(before.len() > 200, "{}", before.len());
    drop(owner);
    database.drop().await;
}

#[tokio::test]
async fn every_way_to_break_an_older_service_is_seen() {
    let database = EmptyDatabase::create("contract").await;
    let mut owner = database.owner().await;
    migrate_to(&mut owner, latest_version()).await.unwrap();
    // Guards against changes of the platform's own tables are not what is tested here.
    execute(&mut owner, "set session_replication_role = replica")
        .await
        .unwrap();
    let before = promises(&mut owner).await;
    for (statement, expected) in [
        (
            "drop table realtime.relay",
            "relation realtime.relay is gone",
        ),
        (
            "alter table auth.users drop column email cascade",
            "column auth.users.email is gone",
        ),
        (
            "alter table auth.users rename email to mail",
            "column auth.users.email is gone",
        ),
        (
            "alter table auth.users rename to people",
            "relation auth.users is gone",
        ),
        (
            "alter table realtime.config alter retention_days type bigint",
            "was integer and is bigint",
        ),
        (
            "alter table realtime.config alter retention_days set not null",
            "was integer and is integer required",
        ),
        (
            "alter table realtime.config add fresh integer not null",
            "column realtime.config.fresh is new",
        ),
        (
            "drop function realtime.publish cascade",
            "function realtime.publish",
        ),
    ] {
        execute(&mut owner, "begin").await.unwrap();
        execute(&mut owner, "delete from realtime.config")
            .await
            .unwrap();
        execute(&mut owner, statement).await.unwrap();
        let found = broken(&before, &promises(&mut owner).await).join("\n");
        assert!(found.contains(expected), "{statement}: {found}");
        execute(&mut owner, "rollback").await.unwrap();
    }
    for harmless in [
        "alter table realtime.config add fresh integer",
        "alter table realtime.config add fresh integer not null default 1",
        "create table system.fresh (id integer not null)",
    ] {
        execute(&mut owner, "begin").await.unwrap();
        execute(&mut owner, harmless).await.unwrap();
        let found = broken(&before, &promises(&mut owner).await);
        assert_eq!(found, Vec::<String>::new(), "{harmless}");
        execute(&mut owner, "rollback").await.unwrap();
    }
    drop(owner);
    database.drop().await;
}
