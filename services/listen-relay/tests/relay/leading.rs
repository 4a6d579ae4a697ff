//! Which of several relays leads, and how it notices that it should not.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::ensure;
use ingot_project::LoginRole;
use ingot_schema::RealtimeSource;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use crate::scene::{PATIENCE, Scene, for_both_sources, nothing_more, numbers, publish};

for_both_sources! {
    a_standby_takes_over_without_loss_or_doubles,
    a_session_of_the_project_cannot_lead,
    a_connection_that_falls_silent_is_replaced,
    a_long_way_to_catch_up_is_nobodys_reason_to_take_over,
    a_relay_that_stops_hands_over,
}

/// Backends that hold the lock of an active relay.
const LEADERS: &str = "select pid from pg_locks
    where locktype = 'advisory' and granted
        and database = (select oid from pg_database where datname = current_database())
    order by objid";

async fn a_standby_takes_over_without_loss_or_doubles(
    source: RealtimeSource,
) -> anyhow::Result<()> {
    let scene = Scene::new(source).await?;
    let mut room = scene.join("orders").await?;
    let relays = [scene.relay().await?, scene.relay().await?];
    let mut sql = scene.project.superuser().await?;
    let mut killer = scene.project.superuser().await?;
    for n in 1..=300 {
        publish(&mut sql, "orders", n).await?;
        if n % 100 == 50 {
            killer
                .execute(
                    "select pg_terminate_backend(pid) from pg_locks
                    where locktype = 'advisory' and granted
                        and database = (select oid from pg_database where datname = current_database())",
                )
                .await?;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let wanted: Vec<i64> = (1..=300).collect();
    assert_eq!(numbers(&mut room, 300).await?, wanted);
    nothing_more(&mut room).await?;
    for relay in relays {
        relay.stop().await?;
    }
    Ok(())
}

/// The administrator's SQL may take any advisory lock: the relays' own must not help it.
async fn a_session_of_the_project_cannot_lead(source: RealtimeSource) -> anyhow::Result<()> {
    let scene = Scene::new(source).await?;
    let mut room = scene.join("orders").await?;
    let locks = |terms: &str| {
        let class = ingot_listen_relay::LOCK;
        format!(
            "set role project_admin; select pg_advisory_lock({class}, term) from {terms} as term"
        )
    };
    let options = scene.project.project().connect_options(LoginRole::Sql);
    let mut before = PgConnection::connect_with(&options).await?;
    let low = locks("generate_series(0, 3)");
    before.execute(AssertSqlSafe(low)).await?;
    let relay = scene.relay().await?;
    let mut sql = scene.project.superuser().await?;
    publish(&mut sql, "orders", 1).await?;
    assert_eq!(numbers(&mut room, 1).await?, [1]);
    assert!(before.ping().await.is_err(), "its session is ended");

    let mut during = PgConnection::connect_with(&options).await?;
    let high = locks("(values (2147483646), (2147483647))");
    let high = high.replace(", term)", ", term.column1)");
    during.execute(AssertSqlSafe(high)).await?;
    // Longer than the active relay takes to notice a later term.
    tokio::time::sleep(Duration::from_secs(3)).await;
    publish(&mut sql, "orders", 2).await?;
    assert_eq!(numbers(&mut room, 1).await?, [2]);
    let leaders: Vec<String> = sqlx::query_scalar(
        "select a.usename::text from pg_locks as l join pg_stat_activity as a using (pid)
        where l.locktype = 'advisory' and l.granted and l.objid < 2147483646
            and l.database = (select oid from pg_database where datname = current_database())",
    )
    .fetch_all(&mut sql)
    .await?;
    let service = LoginRole::Service.name(&scene.project.project().id);
    assert_eq!(leaders, [service], "it leads on in its term");
    relay.stop().await
}

async fn a_connection_that_falls_silent_is_replaced(source: RealtimeSource) -> anyhow::Result<()> {
    let scene = Scene::new(source).await?;
    let mut room = scene.join("orders").await?;
    let relays = [scene.relay().await?, scene.relay().await?];
    let mut sql = scene.project.superuser().await?;
    publish(&mut sql, "orders", 1).await?;
    assert_eq!(numbers(&mut room, 1).await?, [1]);
    let silent: i32 = sqlx::query_scalar(LEADERS).fetch_one(&mut sql).await?;
    signal("-STOP", silent)?;
    for n in 2..=20 {
        publish(&mut sql, "orders", n).await?;
    }
    let arrived = numbers(&mut room, 19).await;
    // Before anything may fail: nobody else wakes it.
    signal("-CONT", silent)?;
    assert_eq!(arrived?, (2..=20).collect::<Vec<i64>>());
    for n in 21..=40 {
        publish(&mut sql, "orders", n).await?;
    }
    assert_eq!(
        numbers(&mut room, 20).await?,
        (21..=40).collect::<Vec<i64>>()
    );
    nothing_more(&mut room).await?;
    // The one that woke up sees that it was replaced, or that nobody needs it.
    let deadline = Instant::now() + PATIENCE;
    loop {
        let leaders: Vec<i32> = sqlx::query_scalar(LEADERS).fetch_all(&mut sql).await?;
        if leaders.len() == 1 && leaders != [silent] {
            break;
        }
        ensure!(
            Instant::now() < deadline,
            "{leaders:?}, {silent} was silent"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for relay in relays {
        relay.stop().await?;
    }
    Ok(())
}

async fn a_long_way_to_catch_up_is_nobodys_reason_to_take_over(
    source: RealtimeSource,
) -> anyhow::Result<()> {
    const MANY: i64 = 20_000;
    let scene = Scene::new(source).await?;
    let mut room = scene.join("orders").await?;
    scene.relay().await?.stop().await?;
    let mut sql = scene.project.superuser().await?;
    sqlx::query("select realtime.publish('orders', 'e', jsonb_build_object('n', n)) from generate_series(1, $1) as n")
        .bind(MANY)
        .execute(&mut sql)
        .await?;
    let relays = [scene.relay().await?, scene.relay().await?];
    let wanted: Vec<i64> = (1..=MANY).collect();
    assert!(
        numbers(&mut room, wanted.len()).await? == wanted,
        "out of order"
    );
    // Terms are counted from 0 where nobody was cut off.
    let term: i64 = sqlx::query_scalar(
        "select objid::int8 from pg_locks
        where locktype = 'advisory' and granted
            and database = (select oid from pg_database where datname = current_database())",
    )
    .fetch_one(&mut sql)
    .await?;
    assert_eq!(term, 0, "somebody took over meanwhile");
    for relay in relays {
        relay.stop().await?;
    }
    Ok(())
}

async fn a_relay_that_stops_hands_over(source: RealtimeSource) -> anyhow::Result<()> {
    let scene = Scene::new(source).await?;
    let mut room = scene.join("orders").await?;
    let first = scene.relay().await?;
    let mut sql = scene.project.superuser().await?;
    publish(&mut sql, "orders", 1).await?;
    assert_eq!(numbers(&mut room, 1).await?, [1]);
    let second = scene.relay().await?;
    first.stop().await?;
    publish(&mut sql, "orders", 2).await?;
    assert_eq!(numbers(&mut room, 1).await?, [2]);
    second.stop().await
}

pub(crate) fn signal(signal: &str, pid: i32) -> anyhow::Result<()> {
    let sent = Command::new("kill")
        .args([signal, &pid.to_string()])
        .status()?;
    ensure!(sent.success(), "no process {pid}");
    Ok(())
}
