//! Everybody who caches the schema hears of a change, and helpers answer as policies expect.

use std::time::Duration;

use ingot_testkit::TestProject;
use sqlx::postgres::PgListener;

use crate::database::{execute, session_as};

async fn heard(listener: &mut PgListener) -> Vec<String> {
    let mut payloads = Vec::new();
    while let Ok(notification) =
        tokio::time::timeout(Duration::from_millis(300), listener.recv()).await
    {
        payloads.push(notification.unwrap().payload().to_owned());
    }
    payloads
}

#[tokio::test]
async fn a_change_is_announced_when_it_commits_and_temporary_tables_are_not() {
    let project = TestProject::create().await.unwrap();
    let mut listener = PgListener::connect(&project.superuser_url()).await.unwrap();
    listener.listen("pgrst").await.unwrap();
    let mut admin = session_as(&project, "project_admin").await;

    for change in [
        "create table public.a (id int)",
        "alter table public.a add column b int",
        "create function public.f() returns int language sql return 1",
        "revoke all on public.a from anon",
        "drop table public.a",
    ] {
        execute(&mut admin, change).await.unwrap();
        assert_eq!(heard(&mut listener).await, ["reload schema"], "{change}");
    }
    execute(
        &mut admin,
        "create temporary table t (id int); drop table t;
         begin; create table public.b (id int); rollback",
    )
    .await
    .unwrap();
    assert!(heard(&mut listener).await.is_empty());
}

#[tokio::test]
async fn a_new_schema_is_exposed_and_the_platforms_never_are() {
    let project = TestProject::create().await.unwrap();
    let mut admin = session_as(&project, "project_admin").await;
    let exposed = "select array_to_string(system.exposed_schemas(), ',')";
    let setting = "select substring(setting from '=(.*)')
        from pg_db_role_setting as s, unnest(s.setconfig) as setting
        where s.setdatabase = (select oid from pg_database where datname = current_database())
            and setting like 'pgrst.db_schemas=%'";
    for (change, list) in [
        ("select", "public"),
        ("create schema shop; create schema blog", "public,blog,shop"),
        ("alter schema shop rename to store", "public,blog,store"),
        ("drop schema blog", "public,store"),
    ] {
        execute(&mut admin, change).await.unwrap();
        let found: String = sqlx::query_scalar(exposed)
            .fetch_one(&mut admin)
            .await
            .unwrap();
        assert_eq!(found, list, "{change}");
        let postgrest: String = sqlx::query_scalar(setting)
            .fetch_one(&mut admin)
            .await
            .unwrap();
        assert_eq!(postgrest, list.replace(',', ", "), "{change}");
    }

    // PostgREST would read these names as the platform's schemas.
    execute(
        &mut admin,
        r#"create schema "x, auth"; create schema " system ""#,
    )
    .await
    .unwrap();
    let postgrest: String = sqlx::query_scalar(setting)
        .fetch_one(&mut admin)
        .await
        .unwrap();
    assert_eq!(postgrest, "public, store");
}

#[tokio::test]
async fn claim_helpers_read_the_claims_and_nothing_else() {
    let project = TestProject::create().await.unwrap();
    let mut user = session_as(&project, "authenticated").await;
    let claims = "select concat_ws('|', coalesce(auth.uid()::text, '-'),
        coalesce(auth.role(), '-'), coalesce(auth.email(), '-'), coalesce(auth.jwt()::text, '-'))";
    let id = "9d2c7f0e-4c33-4c1b-9d53-5f3a6ad1a001";
    for (setting, expected) in [
        (String::new(), "-|-|-|-".to_owned()),
        (
            r#"{"sub": "", "role": "anon"}"#.to_owned(),
            r#"-|anon|-|{"sub": "", "role": "anon"}"#.to_owned(),
        ),
        (
            format!(r#"{{"sub": "{id}"}}"#),
            format!(r#"{id}|-|-|{{"sub": "{id}"}}"#),
        ),
    ] {
        sqlx::query("select set_config('request.jwt.claims', $1, false)")
            .bind(&setting)
            .execute(&mut user)
            .await
            .unwrap();
        let found: String = sqlx::query_scalar(claims)
            .fetch_one(&mut user)
            .await
            .unwrap();
        assert_eq!(found, expected);
    }
}

#[tokio::test]
async fn path_helpers_take_a_key_apart() {
    let project = TestProject::create().await.unwrap();
    let mut user = session_as(&project, "authenticated").await;
    for (key, expected) in [
        ("a/b/c.tar.gz", "{a,b}|c.tar.gz|gz"),
        ("c", "{}|c|-"),
        ("a.b/c", "{a.b}|c|-"),
        ("a/", "{a}||-"),
        ("", "{}||-"),
    ] {
        let found: String = sqlx::query_scalar(
            "select concat_ws('|', storage.foldername($1)::text, storage.filename($1),
                coalesce(storage.extension($1), '-'))",
        )
        .bind(key)
        .fetch_one(&mut user)
        .await
        .unwrap();
        assert_eq!(found, expected, "{key}");
    }
}
