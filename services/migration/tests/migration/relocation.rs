//! What `ingot backup` and `ingot restore` do as the owner: the platform's rows out of one database
//! and into another.

use std::collections::BTreeMap;

use futures::TryStreamExt as _;
use ingot_config::{Environment, Settings as _};
use ingot_migration::{BootstrapConfig, Extension, Place, Source, Table};
use ingot_testkit::{TestProject, test_servers};
use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection, query_scalar, raw_sql,
};

use crate::adoption::Reference;

fn config(environment: &Environment) -> BootstrapConfig {
    BootstrapConfig::load(environment).unwrap()
}

async fn superuser(database: &str) -> PgConnection {
    let servers = test_servers().await.unwrap();
    servers.superuser_options(database).connect().await.unwrap()
}

async fn text(connection: &mut PgConnection, sql: &str) -> String {
    let text: Option<String> = query_scalar(AssertSqlSafe(sql))
        .persistent(false)
        .fetch_one(connection)
        .await
        .unwrap();
    text.unwrap_or_default()
}

async fn run(connection: &mut PgConnection, sql: &str) {
    raw_sql(AssertSqlSafe(sql))
        .execute(connection)
        .await
        .unwrap();
}

async fn exists(database: &str) -> bool {
    let mut connection = superuser("postgres").await;
    let sql = format!("select count(*)::text from pg_database where datname = '{database}'");
    text(&mut connection, &sql).await == "1"
}

async fn drop_database(name: &str) {
    let mut connection = superuser("postgres").await;
    run(
        &mut connection,
        &format!("drop database if exists {name} with (force)"),
    )
    .await;
}

/// The rows of a table as `COPY` writes them, in an order of their own.
async fn lines(source: &mut Source, table: &Table) -> Vec<u8> {
    let pieces: Vec<_> = source
        .rows(table)
        .await
        .unwrap()
        .try_collect()
        .await
        .unwrap();
    let mut lines: Vec<Vec<u8>> = pieces
        .concat()
        .split_inclusive(|byte| *byte == b'\n')
        .map(<[u8]>::to_vec)
        .collect();
    lines.sort();
    lines.concat()
}

/// As it comes out of a backup.
fn read_back(table: &Table) -> Table {
    serde_json::from_str(&serde_json::to_string(table).unwrap()).unwrap()
}

/// Names of columns that may be null.
fn nullable(tables: &[Table]) -> BTreeMap<String, bool> {
    let columns = tables.iter().flat_map(|table| {
        let label = table.label();
        let columns = table.columns.iter();
        columns.map(move |it| (format!("{label}.{}", it.name), it.nullable))
    });
    columns.collect()
}

#[tokio::test]
async fn an_adopted_database_comes_back_with_every_row() {
    let fresh = TestProject::create().await.unwrap();
    let mut steps = Source::open(&config(&fresh.environment())).await.unwrap();
    let known = nullable(&steps.tables().await.unwrap());
    for step in [47, 64] {
        let mut reference = Reference::at(&fresh, step).await;
        if step == 64 {
            // As somebody may have left it who did not know better.
            let plain = "alter table memory.memories alter column content_tsv drop expression";
            reference.execute(plain).await;
        }
        if step == 47 {
            let odd = "create type public.odd as enum ('yes', 'no');
                alter table auth.users add column odd public.odd default 'no',
                    add column \"a; \"\"b\" varchar(3) default 'x', add column list numeric(5, 2)[];
                update auth.users set list = '{1.5, 2}'";
            reference.execute(odd).await;
        }
        reference.adopt(true).await.unwrap();
        // What an adoption leaves where nothing says what a column is in older rows.
        let unknown = "alter table payments.transactions alter column environment drop not null;
            update payments.transactions set environment = null";
        reference.execute(unknown).await;
        if step == 64 {
            let generated = "select attgenerated::text from pg_attribute
                where attrelid = 'memory.memories'::regclass and attname = 'content_tsv'";
            assert_eq!(reference.text(generated).await, "s");
        }
        let environment = reference.newcomer.environment.clone();
        let name = format!("{}_b", reference.newcomer.name);
        let elsewhere = config(&environment.clone().with([("POSTGRES_DB", &name)]));

        let mut source = Source::open(&config(&environment)).await.unwrap();
        let tables = source.tables().await.unwrap();
        let mut place = Place::prepare(&elsewhere, source.origin(), false)
            .await
            .unwrap();
        let mut rows = place.rows().await.unwrap();
        // The other platform's own ledger is of no use any more.
        let (taken, left): (Vec<_>, Vec<_>) = tables.iter().partition(|it| rows.takes(it));
        let left: Vec<_> = left.into_iter().map(Table::label).collect();
        assert_eq!(left, ["system.migrations"], "step {step}");
        for table in &taken {
            let copied = lines(&mut source, table).await;
            let mut copy = rows.write(&read_back(table)).await.unwrap();
            copy.send(copied).await.unwrap();
            copy.finish().await.unwrap();
        }
        rows.finish().await.unwrap();
        place.open().await.unwrap();
        assert_eq!(place.take_over().await.unwrap(), None);

        let mut restored = Source::open(&elsewhere).await.unwrap();
        for table in taken {
            let (before, after) = (
                lines(&mut source, table).await,
                lines(&mut restored, table).await,
            );
            let (before, after) = (
                String::from_utf8_lossy(&before),
                String::from_utf8_lossy(&after),
            );
            assert_eq!(before, after, "step {step}: {}", table.label());
        }
        let allowed = nullable(&tables);
        for (column, may_be_null) in nullable(&restored.tables().await.unwrap()) {
            let was = allowed.get(&column).copied();
            let extra = !known.contains_key(&column);
            assert!(extra || was == Some(may_be_null), "step {step}: {column}");
        }
        drop((source, restored));
        let mut connection = superuser(&name).await;
        // Its number was another database's.
        let job = "select concat_ws(' ', name, cron_job_id) from schedules.jobs";
        assert_eq!(text(&mut connection, job).await, "nightly");
        if step == 47 {
            let types = "select string_agg(format_type(atttypid, atttypmod), ', ' order by attnum)
                from pg_attribute where attrelid = 'auth.users'::regclass
                    and attname in ('odd', 'a; \"b', 'list')";
            let wanted = "text, character varying(3), numeric(5,2)[]";
            assert_eq!(text(&mut connection, types).await, wanted);
        }
        connection.close().await.unwrap();
        drop_database(&name).await;
        reference.remove().await;
    }
}

/// A project, and the settings of one that has another database.
async fn two() -> (TestProject, String, BootstrapConfig) {
    let project = TestProject::create().await.unwrap();
    let name = format!("{}_b", project.project().database.name);
    let environment = project.environment().with([("POSTGRES_DB", &name)]);
    (project, name, config(&environment))
}

#[tokio::test]
async fn extensions_come_back_where_they_were() {
    let (project, name, elsewhere) = two().await;
    let mut owner = project.superuser().await.unwrap();
    let statements = "create schema tools;
        create extension hstore schema tools;
        create schema shop authorization project_admin;
        create extension pg_trgm schema shop;
        create extension earthdistance schema shop cascade;
        set role project_admin;
        create schema words;
        create extension citext schema words;
        reset role";
    run(&mut owner, statements).await;
    // One that is in PostgreSQL's own schema; newer servers have none that everybody has.
    let adminpack = "select count(*)::text from pg_available_extensions where name = 'adminpack'";
    if text(&mut owner, adminpack).await == "1" {
        run(&mut owner, "create extension adminpack").await;
    }
    let installed = "select string_agg(concat_ws(' ', extname, extowner::regrole, nspname,
            case when nspname <> 'public' then nspowner::regrole end), ', ' order by extname)
        from pg_extension join pg_namespace as n on n.oid = extnamespace";
    let before = text(&mut owner, installed).await;
    assert!(
        before.contains("project_admin words project_admin"),
        "{before}"
    );

    let mut source = Source::open(&config(&project.environment())).await.unwrap();
    let place = Place::prepare(&elsewhere, source.origin(), false)
        .await
        .unwrap();
    let mut new = superuser(&place.project().database.name).await;
    assert_eq!(text(&mut new, installed).await, before);
    new.close().await.unwrap();
    assert_eq!(place.give_up().await, "nothing was changed");
    assert!(!exists(&format!("{name}_restoring")).await);
    drop(source.tables().await.unwrap());
}

#[tokio::test]
async fn what_a_new_database_has_is_nobodys_and_everything_else_somebodys() {
    let (project, name, elsewhere) = two().await;
    let origin = {
        let source = Source::open(&config(&project.environment())).await.unwrap();
        source.origin().clone()
    };
    // All of what a project has from its first start on.
    let mut place = Place::prepare(&elsewhere, &origin, false).await.unwrap();
    place.open().await.unwrap();
    place.take_over().await.unwrap();
    let place = Place::prepare(&elsewhere, &origin, false).await.unwrap();
    assert_eq!(place.give_up().await, "nothing was changed");

    for (change, told) in [
        (
            "insert into payments.transactions (provider, environment, type, status)
             values ('stripe', 'test', 'refund', 'succeeded')",
            "it has rows in payments.transactions. With",
        ),
        (
            "insert into schedules.jobs (name, cron_schedule, function_url) values ('n', '* * * * *', 'u')",
            "rows in payments.transactions, schedules.jobs. With",
        ),
        (
            "delete from payments.transactions; delete from schedules.jobs;
             insert into system.secrets (key, value_ciphertext) values ('STRIPE', 'sealed')",
            "rows in system.secrets. With",
        ),
        (
            "delete from system.secrets where key = 'STRIPE';
             insert into memory.memories (scope, kind, title, content) values ('a', 'fact', 't', 'c')",
            "rows in memory.memories. With",
        ),
        (
            "delete from memory.memories; update schedules.config set retention_days = 3",
            "rows in schedules.config. With",
        ),
        (
            "update schedules.config set updated_at = created_at;
             alter table schedules.config disable trigger user;
             update schedules.config set updated_at = created_at;
             update email.templates set subject = 'Ours' where template_type = 'request-otp'",
            "rows in email.templates. With",
        ),
        (
            "delete from email.templates; update email.config set host = 'mail.example.com';
             insert into auth.users (email) values ('ada@example.com')",
            "it has 1 accounts, rows in email.config. With",
        ),
    ] {
        let mut connection = superuser(&name).await;
        run(&mut connection, change).await;
        connection.close().await.unwrap();
        let refused = Place::prepare(&elsewhere, &origin, false).await.unwrap_err();
        assert!(refused.to_string().contains(told), "{refused}");
    }
    drop_database(&name).await;
}

#[tokio::test]
async fn a_restore_that_fails_leaves_nothing_or_says_what() {
    let (project, name, elsewhere) = two().await;
    let unfinished = format!("{name}_restoring");
    let origin = {
        let source = Source::open(&config(&project.environment())).await.unwrap();
        source.origin().clone()
    };
    let mut strange = origin.clone();
    strange.extensions.push(Extension {
        name: "no such \"thing".to_owned(),
        schema: "public".to_owned(),
        of_project: false,
        schema_of_project: false,
    });
    let error = Place::prepare(&elsewhere, &strange, false)
        .await
        .unwrap_err();
    let told = format!("{error:#}");
    assert!(
        told.starts_with("nothing was changed: the extension no such"),
        "{told}"
    );
    assert!(!exists(&unfinished).await);

    // Somebody is connected to the database that is to be replaced.
    let mut maintenance = superuser("postgres").await;
    run(&mut maintenance, &format!("create database {name}")).await;
    let place = Place::prepare(&elsewhere, &origin, true).await.unwrap();
    let connected = superuser(&name).await;
    let told = format!("{:#}", place.take_over().await.unwrap_err());
    assert!(
        told.starts_with("nothing was changed: the restored database did not get"),
        "{told}"
    );
    assert!(!exists(&unfinished).await);
    connected.close().await.unwrap();

    // Somebody is connected to the new one, which then cannot be removed either.
    let place = Place::prepare(&elsewhere, &origin, true).await.unwrap();
    let connected = superuser(&unfinished).await;
    let told = format!("{:#}", place.take_over().await.unwrap_err());
    let left =
        format!("nothing was changed, but the unfinished database {unfinished} is still there");
    assert!(told.starts_with(&left), "{told}");
    assert!(exists(&unfinished).await);
    connected.close().await.unwrap();

    // The next one removes it.
    let place = Place::prepare(&elsewhere, &origin, true).await.unwrap();
    assert_eq!(place.give_up().await, "nothing was changed");
    assert!(!exists(&unfinished).await);
    drop_database(&name).await;
}
