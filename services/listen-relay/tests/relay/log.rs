//! What only relays do that read PostgreSQL's log, and who changes from one source to the other.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use futures::StreamExt;
use ingot_bus::Invalidation;
use ingot_schema::RealtimeSource;
use ingot_testkit::TestService;
use reqwest::Method;
use serde_json::Value;
use sqlx::postgres::PgListener;
use sqlx::{Connection, Executor, PgConnection};

use crate::leading::signal;
use crate::scene::{PATIENCE, QUIET, Scene, nothing_more, numbers, publish};

/// The process that reads the log of this database.
const READER: &str = "select active_pid from pg_replication_slots
    where database = current_database() and active and temporary";

/// It changes with every slot.
async fn reader(sql: &mut PgConnection) -> anyhow::Result<i32> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(pid) = sqlx::query_scalar(READER).fetch_optional(&mut *sql).await? {
            return Ok(pid);
        }
        ensure!(Instant::now() < deadline, "nobody reads the log");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn nobody_notifies() -> anyhow::Result<()> {
    let scene = Scene::new(RealtimeSource::Wal).await?;
    let mut room = scene.join("orders").await?;
    let relay = scene.relay().await?;
    let mut sql = scene.project.superuser().await?;
    let pool = scene.project.pools();
    let pool = pool.get(
        &scene.project.project().id,
        ingot_project::LoginRole::Service,
    )?;
    let mut listener = PgListener::connect_with(&pool).await?;
    listener.listen("realtime_message").await?;
    publish(&mut sql, "orders", 1).await?;
    assert_eq!(numbers(&mut room, 1).await?, [1]);
    // Had there been one for the message, it would come before this.
    sql.execute("notify realtime_message, 'mine'").await?;
    let heard = tokio::time::timeout(PATIENCE, listener.recv()).await??;
    assert_eq!(heard.payload(), "mine");
    relay.stop().await
}

#[tokio::test]
async fn a_slot_that_is_taken_away_costs_nothing() -> anyhow::Result<()> {
    let scene = Scene::new(RealtimeSource::Wal).await?;
    let mut room = scene.join("orders").await?;
    let relay = scene.relay().await?;
    let mut sql = scene.project.superuser().await?;
    for n in 1..=200 {
        publish(&mut sql, "orders", n).await?;
        if n % 70 == 20 {
            // What PostgreSQL does when a slot falls too far behind.
            let pid = reader(&mut sql).await?;
            sqlx::query("select pg_terminate_backend($1)")
                .bind(pid)
                .execute(&mut sql)
                .await?;
        }
    }
    let wanted: Vec<i64> = (1..=200).collect();
    assert_eq!(numbers(&mut room, 200).await?, wanted);
    nothing_more(&mut room).await?;
    relay.stop().await?;
    let left: i64 = sqlx::query_scalar(
        "select count(*) from pg_replication_slots where database = current_database()",
    )
    .fetch_one(&mut sql)
    .await?;
    ensure!(left <= 1, "{left} slots are left");
    Ok(())
}

#[tokio::test]
async fn a_log_that_falls_silent_is_opened_anew() -> anyhow::Result<()> {
    let scene = Scene::new(RealtimeSource::Wal).await?;
    let mut room = scene.join("orders").await?;
    let relay = scene.relay().await?;
    let mut sql = scene.project.superuser().await?;
    publish(&mut sql, "orders", 1).await?;
    assert_eq!(numbers(&mut room, 1).await?, [1]);
    let silent = reader(&mut sql).await?;
    signal("-STOP", silent)?;
    for n in 2..=20 {
        publish(&mut sql, "orders", n).await?;
    }
    let arrived = numbers(&mut room, 19).await;
    // Before anything may fail: nobody else wakes it.
    signal("-CONT", silent)?;
    assert_eq!(arrived?, (2..=20).collect::<Vec<i64>>());
    nothing_more(&mut room).await?;
    relay.stop().await
}

/// PostgreSQL opens the log when all transactions under way have ended.
#[tokio::test]
async fn messages_do_not_wait_for_the_log() -> anyhow::Result<()> {
    let scene = Scene::new(RealtimeSource::Wal).await?;
    let mut room = scene.join("orders").await?;
    let (mut sql, mut other) = (
        scene.project.superuser().await?,
        scene.project.superuser().await?,
    );
    let mut slow = other.begin().await?;
    publish(&mut slow, "orders", 4).await?;
    let relay = scene.relay().await?;
    for n in 1..=3 {
        publish(&mut sql, "orders", n).await?;
        assert_eq!(numbers(&mut room, 1).await?, [i64::from(n)]);
    }
    let open: Option<i32> = sqlx::query_scalar(READER).fetch_optional(&mut sql).await?;
    ensure!(
        open.is_none() || other_slot_waits(&mut sql).await?,
        "the log is open already"
    );
    slow.commit().await?;
    assert_eq!(numbers(&mut room, 1).await?, [4]);
    publish(&mut sql, "orders", 5).await?;
    assert_eq!(numbers(&mut room, 1).await?, [5]);
    nothing_more(&mut room).await?;
    relay.stop().await
}

/// Makes whoever commits with `synchronous_commit = on` wait for a server that there is not. Nobody
/// else does in a throw-away cluster.
async fn wait_for_another_server(sql: &mut PgConnection, wait: bool) -> anyhow::Result<()> {
    sql.execute(if wait {
        "alter system set synchronous_standby_names = 'nobody'"
    } else {
        "alter system reset synchronous_standby_names"
    })
    .await?;
    sql.execute("select pg_reload_conf()").await?;
    Ok(())
}

/// A transaction that waits for another server has its end in the log, and nobody sees it. Without
/// such a server that is so, too, but only for a moment.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_log_tells_of_before_it_is_seen_is_waited_for() -> anyhow::Result<()> {
    // It changes a setting of the whole server.
    let scene = Scene::apart(RealtimeSource::Wal).await?;
    let mut room = scene.join("orders").await?;
    let relay = scene.relay().await?;
    let mut sql = scene.project.superuser().await?;
    reader(&mut sql).await?;
    publish(&mut sql, "orders", 1).await?;
    assert_eq!(numbers(&mut room, 1).await?, [1]);

    wait_for_another_server(&mut sql, true).await?;
    let mut slow = scene.project.superuser().await?;
    slow.execute("set synchronous_commit = on").await?;
    let pid: i32 = sqlx::query_scalar("select pg_backend_pid()")
        .fetch_one(&mut slow)
        .await?;
    let waiting = tokio::spawn(async move { publish(&mut slow, "orders", 2).await });
    let deadline = Instant::now() + PATIENCE;
    loop {
        let waits = "select wait_event = 'SyncRep' from pg_stat_activity where pid = $1";
        let waits: Option<bool> = sqlx::query_scalar(waits)
            .bind(pid)
            .fetch_one(&mut sql)
            .await?;
        if waits == Some(true) {
            break;
        }
        ensure!(Instant::now() < deadline, "it does not wait");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    publish(&mut sql, "orders", 3).await?;
    nothing_more(&mut room).await?;
    // It is committed nevertheless.
    sqlx::query("select pg_cancel_backend($1)")
        .bind(pid)
        .execute(&mut sql)
        .await?;
    let arrived = numbers(&mut room, 2).await;
    wait_for_another_server(&mut sql, false).await?;
    assert_eq!(arrived?, [2, 3]);
    waiting.await??;
    nothing_more(&mut room).await?;
    relay.stop().await
}

#[tokio::test]
async fn messages_arrive_although_the_log_cannot_be_read() -> anyhow::Result<()> {
    let scene = Scene::new(RealtimeSource::Wal).await?;
    scene.let_read(false).await?;
    let mut room = scene.join("orders").await?;
    let mut sql = scene.project.superuser().await?;
    let mut permissions = scene.bus.invalidations(&scene.project.project().id).await?;
    publish(&mut sql, "orders", 1).await?;
    let relay = scene.relay().await?;
    for n in 1..=5 {
        assert_eq!(numbers(&mut room, 1).await?, [n]);
        publish(&mut sql, "orders", i32::try_from(n)? + 1).await?;
    }
    let told = told_of_log(&relay).await?;
    ensure!(
        told.as_str()
            .is_some_and(|told| told.contains("the log cannot be read")),
        "{told}"
    );
    // Nobody else tells nodes that channels have changed.
    scene
        .project
        .execute("update realtime.channels set enabled = enabled")
        .await?;
    let heard = tokio::time::timeout(PATIENCE, permissions.next()).await?;
    assert_eq!(heard, Some(Invalidation::Channels));

    scene.let_read(true).await?;
    reader(&mut sql).await?;
    assert_eq!(numbers(&mut room, 1).await?, [6]);
    for n in 7..=9 {
        publish(&mut sql, "orders", n).await?;
    }
    assert_eq!(numbers(&mut room, 3).await?, [7, 8, 9]);
    nothing_more(&mut room).await?;
    assert_eq!(told_of_log(&relay).await?, Value::Null);
    relay.stop().await
}

/// What the health of a relay that is ready says about the log.
async fn told_of_log(relay: &TestService) -> anyhow::Result<Value> {
    let answer = relay.request(Method::GET, "/readyz").send().await?;
    ensure!(answer.status() == 200, "{}", answer.status());
    let answer: Value = answer.json().await?;
    let relays = answer.get("relays").and_then(Value::as_object);
    let (_, relay) = relays.and_then(|it| it.iter().next()).context("no relay")?;
    Ok(relay.get("log").cloned().unwrap_or_default())
}

/// Whether a slot is still being made: it does not know yet where it begins.
async fn other_slot_waits(sql: &mut PgConnection) -> anyhow::Result<bool> {
    Ok(sqlx::query_scalar(
        "select bool_and(confirmed_flush_lsn is null) from pg_replication_slots
        where database = current_database()",
    )
    .fetch_one(sql)
    .await?)
}

#[tokio::test]
async fn changing_the_source_loses_nothing() -> anyhow::Result<()> {
    let scene = Scene::new(RealtimeSource::Wal).await?;
    let mut room = scene.join("orders").await?;
    let relay = scene.relay().await?;
    let (mut sql, mut other) = (
        scene.project.superuser().await?,
        scene.project.superuser().await?,
    );
    publish(&mut sql, "orders", 1).await?;
    assert_eq!(numbers(&mut room, 1).await?, [1]);
    // A snapshot from before the change, and a message after it.
    let mut old = other.begin().await?;
    old.execute("set transaction isolation level repeatable read")
        .await?;
    old.execute("select 1 from realtime.relay").await?;
    scene.switch(RealtimeSource::Listen).await?;
    relay.stop().await?;
    let listening = scene.listening_relay().await?;
    publish(&mut sql, "orders", 2).await?;
    assert_eq!(numbers(&mut room, 1).await?, [2]);
    tokio::time::sleep(QUIET).await;
    publish(&mut old, "orders", 3).await?;
    old.commit().await?;
    assert_eq!(numbers(&mut room, 1).await?, [3]);
    // One that listens although nobody notifies any more finds messages nevertheless, only late.
    scene.switch(RealtimeSource::Wal).await?;
    for n in 4..=6 {
        publish(&mut sql, "orders", n).await?;
    }
    assert_eq!(numbers(&mut room, 3).await?, [4, 5, 6]);
    listening.stop().await?;
    let relay = scene.relay().await?;
    publish(&mut sql, "orders", 7).await?;
    assert_eq!(numbers(&mut room, 1).await?, [7]);
    nothing_more(&mut room).await?;
    relay.stop().await
}

#[tokio::test]
async fn without_a_login_for_it_the_relay_says_what_it_needs() -> anyhow::Result<()> {
    let scene = Scene::new(RealtimeSource::Listen).await?;
    let settings = [("REALTIME_SOURCE", "wal")];
    let started = TestService::start(&scene.project, &settings, ingot_listen_relay::serve).await;
    let error = format!(
        "{:#}",
        started.err().map_or_else(String::new, |e| e.to_string())
    );
    ensure!(error.contains("INGOT_REPLICATION_USER"), "{error}");
    Ok(())
}
