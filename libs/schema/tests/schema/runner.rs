//! The runner: once, one at a time, and never over a ledger that does not fit.

use std::time::Duration;

use futures::future::join_all;
use ingot_private_servers::PrivateServers;
use ingot_project::LoginRole;
use ingot_schema::{
    RunnerLock, SchemaError, check_current, latest_version, migrate, prepare_logins, status,
    verify, wait_until_current,
};
use ingot_testkit::{TestProject, TestServers};
use sqlx::{ConnectOptions, PgConnection, PgPool};

use crate::database::{EmptyDatabase, execute};

async fn ledger_rows(connection: &mut PgConnection) -> i64 {
    sqlx::query_scalar("select count(*) from system.schema_steps")
        .fetch_one(connection)
        .await
        .unwrap()
}

#[tokio::test]
async fn four_runners_at_once_apply_every_step_once() {
    let database = EmptyDatabase::create("four").await;
    let runs = join_all((0..4).map(|_| async {
        let mut owner = database.owner().await;
        migrate(&mut owner).await.unwrap().len()
    }))
    .await;
    let steps = latest_version() as usize;
    assert_eq!(runs.iter().sum::<usize>(), steps, "{runs:?}");
    assert_eq!(runs.iter().max(), Some(&steps), "one runner does it all");
    assert_eq!(
        ledger_rows(&mut database.owner().await).await,
        i64::from(latest_version())
    );
    database.drop().await;
}

/// On a cluster of its own, because the roles must not exist yet.
#[tokio::test]
async fn databases_of_one_new_cluster_are_migrated_at_once() {
    let servers = PrivateServers::start_throw_away().await.unwrap();
    let server = TestServers::from(&servers).superuser_options("postgres");
    let migrated = join_all((0..3).map(|number| {
        let server = server.clone();
        async move {
            let database = EmptyDatabase::on(server, &format!("side_{number}")).await;
            let mut owner = database.owner().await;
            migrate(&mut owner).await.unwrap();
            verify(&mut owner).await
        }
    }))
    .await;
    assert!(migrated.iter().all(Result::is_ok), "{migrated:?}");
    servers.stop().await.unwrap();
}

/// From PostgreSQL 16 on, `CREATEROLE` and `BYPASSRLS` suffice; before, only superusers make roles that
/// bypass row level security. On a cluster of its own, because the roles must not exist yet.
#[tokio::test]
async fn an_owner_who_may_create_roles_suffices() {
    let servers = PrivateServers::start_throw_away().await.unwrap();
    let options = TestServers::from(&servers).superuser_options("postgres");
    let mut superuser = options.connect().await.unwrap();
    let version: i32 = sqlx::query_scalar("select current_setting('server_version_num')::int")
        .fetch_one(&mut superuser)
        .await
        .unwrap();
    if version >= 160_000 {
        let owner = "create role own login createrole createdb bypassrls password 'own'";
        execute(&mut superuser, owner).await.unwrap();
        execute(&mut superuser, "create database own owner own")
            .await
            .unwrap();
        let options = options.username("own").password("own").database("own");
        let mut owner = options.connect().await.unwrap();
        let steps = migrate(&mut owner).await.unwrap();
        assert_eq!(steps.len(), latest_version() as usize);
        let project = TestProject::create().await.unwrap();
        prepare_logins(&mut owner, project.project()).await.unwrap();
        prepare_logins(&mut owner, project.project()).await.unwrap();
    }
    servers.stop().await.unwrap();
}

/// Any role may take an advisory lock: code of a project must not keep the runner away by it.
#[tokio::test]
async fn a_session_of_the_project_cannot_hold_the_runner_up() {
    let project = TestProject::create().await.unwrap();
    let options = project.project().connect_options(LoginRole::Sql);
    let mut session = options.connect().await.unwrap();
    let lock = "set role project_admin; select pg_advisory_lock(7241865325823964)";
    execute(&mut session, lock).await.unwrap();
    let mut owner = project.superuser().await.unwrap();
    let lock = RunnerLock::acquire(&mut owner, Duration::from_secs(10)).await;
    lock.unwrap().release().await.unwrap();
}

#[tokio::test]
async fn a_ledger_that_does_not_fit_is_refused_and_left_alone() {
    let database = EmptyDatabase::create("ledger").await;
    let mut owner = database.owner().await;
    migrate(&mut owner).await.unwrap();

    let cases = [
        (
            "update system.schema_steps set checksum = repeat('0', 64) where number = 3",
            "step 3 (system) was applied to this database with other content",
        ),
        (
            "insert into system.schema_steps values (9999, 'later', repeat('0', 64))",
            "step 9999 (later) was applied to this database but this build",
        ),
        (
            "delete from system.schema_steps where number = 2",
            "step 2 (schemas) was never applied",
        ),
    ];
    for (damage, complaint) in cases {
        execute(
            &mut owner,
            "create table saved as table system.schema_steps",
        )
        .await
        .unwrap();
        execute(&mut owner, damage).await.unwrap();
        let rows = ledger_rows(&mut owner).await;
        for error in [
            migrate(&mut owner).await.unwrap_err(),
            verify(&mut owner).await.unwrap_err(),
            status(&mut owner).await.unwrap_err(),
        ] {
            assert!(error.to_string().contains(complaint), "{error}");
        }
        assert_eq!(ledger_rows(&mut owner).await, rows);
        execute(
            &mut owner,
            "truncate system.schema_steps;
             insert into system.schema_steps table saved;
             drop table saved",
        )
        .await
        .unwrap();
    }
    verify(&mut owner).await.unwrap();
    drop(owner);
    database.drop().await;
}

#[tokio::test]
async fn a_failed_step_is_rolled_back_and_the_next_run_goes_on_there() {
    let database = EmptyDatabase::create("failed").await;
    let mut owner = database.owner().await;
    // Step 6 wants to create this table, at its end.
    execute(
        &mut owner,
        "create schema storage; create table storage.s3_access_keys ()",
    )
    .await
    .unwrap();

    let error = migrate(&mut owner).await.unwrap_err();
    assert!(
        matches!(&error, SchemaError::StepFailed { number: 6, name, .. } if name == "storage"),
        "{error}"
    );
    let state = status(&mut owner).await.unwrap();
    assert_eq!(state.applied.len(), 5);
    assert_eq!(state.pending.first().unwrap().number, 6);
    let left: bool = sqlx::query_scalar("select to_regclass('storage.buckets') is not null")
        .fetch_one(&mut owner)
        .await
        .unwrap();
    assert!(!left, "the first half of step 6 is still there");

    // Same connection: the failure has not kept the lock either.
    execute(&mut owner, "drop table storage.s3_access_keys")
        .await
        .unwrap();
    let applied = migrate(&mut database.owner().await).await.unwrap();
    assert_eq!(applied.first().unwrap().number, 6);
    verify(&mut owner).await.unwrap();
    drop(owner);
    database.drop().await;
}

#[tokio::test]
async fn another_platforms_database_is_refused() {
    let database = EmptyDatabase::create("foreign").await;
    let mut owner = database.owner().await;
    execute(
        &mut owner,
        "create schema system; create table system.migrations (id int)",
    )
    .await
    .unwrap();
    let error = migrate(&mut owner).await.unwrap_err();
    assert!(
        matches!(&error, SchemaError::ForeignSchema { table } if table == "system.migrations"),
        "{error}"
    );
    drop(owner);
    database.drop().await;
}

#[tokio::test]
async fn a_busy_lock_is_waited_for_and_not_longer_than_asked() {
    let database = EmptyDatabase::create("busy").await;
    let (mut holder, mut other) = (database.owner().await, database.owner().await);
    let held = RunnerLock::acquire(&mut holder, Duration::ZERO)
        .await
        .unwrap();
    let refused = RunnerLock::acquire(&mut other, Duration::from_millis(300)).await;
    assert!(matches!(refused, Err(SchemaError::Busy { .. })));

    let waiting = tokio::spawn(async move {
        let lock = RunnerLock::acquire(&mut other, Duration::from_secs(20)).await?;
        lock.release().await
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!waiting.is_finished());
    held.release().await.unwrap();
    waiting.await.unwrap().unwrap();
    drop(holder);
    database.drop().await;
}

#[tokio::test]
async fn services_wait_until_the_schema_is_theirs() {
    let database = EmptyDatabase::create("wait").await;
    let mut owner = database.owner().await;
    let options = ingot_testkit::test_servers()
        .await
        .unwrap()
        .superuser_options(&database.name)
        .disable_statement_logging();
    let pool = PgPool::connect_lazy_with(options);

    let behind = check_current(&pool).await.unwrap_err();
    assert!(
        matches!(behind, SchemaError::Behind { applied: 0, needed } if needed == latest_version()),
        "{behind}"
    );
    let waiter = tokio::spawn({
        let pool = pool.clone();
        async move { wait_until_current(&pool).await }
    });
    migrate(&mut owner).await.unwrap();
    tokio::time::timeout(Duration::from_secs(20), waiter)
        .await
        .unwrap()
        .unwrap();

    // A newer release migrated already, and this one goes on serving until it is replaced.
    execute(
        &mut owner,
        "insert into system.schema_steps values (9999, 'newer', repeat('0', 64))",
    )
    .await
    .unwrap();
    check_current(&pool).await.unwrap();
    pool.close().await;
    drop(owner);
    database.drop().await;
}
