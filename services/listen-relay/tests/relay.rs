//! The relay against real PostgreSQL and NATS: order, catching up, taking over, counting.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use futures::StreamExt;
use ingot_bus::{Audience, Bus, BusSettings, Invalidation, Room, RoomSubscription};
use ingot_config::Settings;
use ingot_listen_relay::serve;
use ingot_project::LoginRole;
use ingot_testkit::{TestProject, TestService};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use uuid::Uuid;

const PATIENCE: Duration = Duration::from_secs(15);
const QUIET: Duration = Duration::from_millis(700);

struct Scene {
    project: TestProject,
    bus: Bus,
}

impl Scene {
    async fn new() -> anyhow::Result<Self> {
        let project = TestProject::create().await?;
        project
            .execute("insert into realtime.channels (pattern) values ('orders'), ('room:%')")
            .await?;
        let bus = Bus::connect(&BusSettings::load(&project.environment())?, "test").await?;
        Ok(Self { project, bus })
    }

    async fn relay(&self) -> anyhow::Result<TestService> {
        TestService::start(&self.project, &[], serve).await
    }

    async fn join(&self, channel: &str) -> anyhow::Result<RoomSubscription> {
        let room = Room {
            project: self.project.project().id.clone(),
            channel: channel.to_owned(),
        };
        Ok(self.bus.join(room).await?)
    }
}

async fn publish(connection: &mut PgConnection, channel: &str, n: i32) -> anyhow::Result<Uuid> {
    let id =
        sqlx::query_scalar("select realtime.publish($1, 'e', jsonb_build_object('n', $2::int))")
            .bind(channel)
            .bind(n)
            .fetch_one(connection)
            .await?;
    Ok(id)
}

/// The numbers of the next `count` messages.
async fn numbers(room: &mut RoomSubscription, count: usize) -> anyhow::Result<Vec<i64>> {
    let mut numbers = Vec::new();
    for _ in 0..count {
        let delivery = tokio::time::timeout(PATIENCE, room.next())
            .await
            .with_context(|| format!("only {} of {count} arrived", numbers.len()))?
            .context("the bus closed")?;
        let payload = delivery.message.payload.context("no payload")?;
        let value: serde_json::Value = serde_json::from_str(payload.get())?;
        let number = value.get("n").and_then(serde_json::Value::as_i64);
        numbers.push(number.context("no number")?);
    }
    Ok(numbers)
}

async fn nothing_more(room: &mut RoomSubscription) -> anyhow::Result<()> {
    let more = tokio::time::timeout(QUIET, room.next()).await;
    ensure!(more.is_err(), "one more: {more:?}");
    Ok(())
}

#[tokio::test]
async fn a_burst_arrives_in_insert_order() -> anyhow::Result<()> {
    let scene = Scene::new().await?;
    let mut room = scene.join("orders").await?;
    let relay = scene.relay().await?;
    let mut sql = scene.project.superuser().await?;
    sql.execute(
        "select realtime.publish('orders', 'e', jsonb_build_object('n', n))
        from generate_series(1, 500) as n",
    )
    .await?;
    let wanted: Vec<i64> = (1..=500).collect();
    assert_eq!(numbers(&mut room, 500).await?, wanted);
    nothing_more(&mut room).await?;
    relay.stop().await
}

#[tokio::test]
async fn overlapping_transactions_arrive_in_commit_order() -> anyhow::Result<()> {
    let scene = Scene::new().await?;
    let mut room = scene.join("orders").await?;
    let relay = scene.relay().await?;
    let (mut first, mut second) = (
        scene.project.superuser().await?,
        scene.project.superuser().await?,
    );
    let mut early = first.begin().await?;
    publish(&mut early, "orders", 1).await?;
    let mut late = second.begin().await?;
    publish(&mut late, "orders", 2).await?;
    publish(&mut early, "orders", 3).await?;
    late.commit().await?;
    early.commit().await?;
    assert_eq!(numbers(&mut room, 3).await?, [2, 1, 3]);
    relay.stop().await
}

#[tokio::test]
async fn what_committed_without_a_relay_is_caught_up() -> anyhow::Result<()> {
    let scene = Scene::new().await?;
    let mut room = scene.join("orders").await?;
    let relay = scene.relay().await?;
    let (mut sql, mut other) = (
        scene.project.superuser().await?,
        scene.project.superuser().await?,
    );
    // Inserted before, committed after everything that the first relay sees.
    let mut slow = other.begin().await?;
    publish(&mut slow, "orders", 1).await?;
    for n in 2..=5 {
        publish(&mut sql, "orders", n).await?;
    }
    assert_eq!(numbers(&mut room, 4).await?, [2, 3, 4, 5]);
    tokio::time::sleep(QUIET).await;
    relay.stop().await?;

    slow.commit().await?;
    for n in 6..=8 {
        publish(&mut sql, "orders", n).await?;
    }
    let relay = scene.relay().await?;
    assert_eq!(numbers(&mut room, 4).await?, [1, 6, 7, 8]);
    publish(&mut sql, "orders", 9).await?;
    assert_eq!(numbers(&mut room, 1).await?, [9]);
    nothing_more(&mut room).await?;
    relay.stop().await
}

#[tokio::test]
async fn a_standby_takes_over_without_loss_or_doubles() -> anyhow::Result<()> {
    let scene = Scene::new().await?;
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
#[tokio::test]
async fn a_session_of_the_project_cannot_lead() -> anyhow::Result<()> {
    let scene = Scene::new().await?;
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

#[tokio::test]
async fn catching_up_keeps_commit_order() -> anyhow::Result<()> {
    let scene = Scene::new().await?;
    let mut room = scene.join("orders").await?;
    scene.relay().await?.stop().await?;
    let (mut first, mut second) = (
        scene.project.superuser().await?,
        scene.project.superuser().await?,
    );
    let mut early = first.begin().await?;
    publish(&mut early, "orders", 2).await?;
    let mut late = second.begin().await?;
    publish(&mut late, "orders", 1).await?;
    publish(&mut early, "orders", 3).await?;
    late.commit().await?;
    early.commit().await?;
    publish(&mut second, "orders", 4).await?;
    let relay = scene.relay().await?;
    assert_eq!(numbers(&mut room, 4).await?, [1, 2, 3, 4]);
    relay.stop().await
}

/// Backends that hold the lock of an active relay.
const LEADERS: &str = "select pid from pg_locks
    where locktype = 'advisory' and granted
        and database = (select oid from pg_database where datname = current_database())
    order by objid";

#[tokio::test]
async fn a_connection_that_falls_silent_is_replaced_within_seconds() -> anyhow::Result<()> {
    let scene = Scene::new().await?;
    let mut room = scene.join("orders").await?;
    let relays = [scene.relay().await?, scene.relay().await?];
    let mut sql = scene.project.superuser().await?;
    publish(&mut sql, "orders", 1).await?;
    assert_eq!(numbers(&mut room, 1).await?, [1]);
    let silent: i32 = sqlx::query_scalar(LEADERS).fetch_one(&mut sql).await?;
    signal("-STOP", silent)?;
    let begin = Instant::now();
    for n in 2..=20 {
        publish(&mut sql, "orders", n).await?;
    }
    let arrived = numbers(&mut room, 19).await;
    let took = begin.elapsed();
    // Before anything may fail: nobody else wakes it.
    signal("-CONT", silent)?;
    assert_eq!(arrived?, (2..=20).collect::<Vec<i64>>());
    assert!(took < Duration::from_secs(8), "{took:?}");
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

#[tokio::test]
async fn a_long_way_to_catch_up_is_nobodys_reason_to_take_over() -> anyhow::Result<()> {
    const MANY: i64 = 20_000;
    let scene = Scene::new().await?;
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

#[tokio::test]
async fn a_relay_that_stops_hands_over_at_once() -> anyhow::Result<()> {
    let scene = Scene::new().await?;
    let mut room = scene.join("orders").await?;
    let first = scene.relay().await?;
    let mut sql = scene.project.superuser().await?;
    publish(&mut sql, "orders", 1).await?;
    assert_eq!(numbers(&mut room, 1).await?, [1]);
    let second = scene.relay().await?;
    first.stop().await?;
    let begin = Instant::now();
    publish(&mut sql, "orders", 2).await?;
    assert_eq!(numbers(&mut room, 1).await?, [2]);
    assert!(begin.elapsed() < Duration::from_secs(2));
    second.stop().await
}

fn signal(signal: &str, pid: i32) -> anyhow::Result<()> {
    let sent = Command::new("kill")
        .args([signal, &pid.to_string()])
        .status()?;
    ensure!(sent.success(), "no process {pid}");
    Ok(())
}

#[tokio::test]
async fn only_enabled_channels_are_relayed_and_long_payloads_stay_behind() -> anyhow::Result<()> {
    let scene = Scene::new().await?;
    let mut room = scene.join("room:1").await?;
    let relay = scene.relay().await?;
    let mut sql = scene.project.superuser().await?;
    publish(&mut sql, "room:1", 1).await?;
    assert_eq!(numbers(&mut room, 1).await?, [1]);
    sql.execute("update realtime.channels set enabled = false where pattern = 'room:%'")
        .await?;
    sql.execute(
        "insert into realtime.messages (event_name, channel_name, channel_id, payload)
        select 'e', 'room:1', id, '{}' from realtime.channels where pattern = 'room:%';
        insert into realtime.messages (event_name, channel_name) values ('e', 'room:1');
        notify realtime_message, 'not an id';
        notify realtime_relay, 'not ours'",
    )
    .await?;
    nothing_more(&mut room).await?;
    sql.execute(
        "update realtime.channels set enabled = true where pattern = 'room:%';
        select realtime.publish('room:1', 'long', to_jsonb(repeat('x', 400000)))",
    )
    .await?;
    let long = tokio::time::timeout(PATIENCE, room.next())
        .await?
        .context("the bus closed")?;
    assert_eq!(long.message.event, "long");
    assert!(long.message.payload.is_none());
    relay.stop().await
}

#[tokio::test]
async fn counts_of_all_nodes_are_summed() -> anyhow::Result<()> {
    let scene = Scene::new().await?;
    let relay = scene.relay().await?;
    let mut sql = scene.project.superuser().await?;
    let message = publish(&mut sql, "orders", 1).await?;
    let deadline = tokio::time::Instant::now() + PATIENCE;
    // The relay becomes active, and with that listens to counts, a moment after it is ready.
    tokio::time::sleep(QUIET).await;
    for sockets in [2, 3] {
        let counts = vec![(message, sockets), (Uuid::new_v4(), 9)];
        scene
            .bus
            .publish_audience(&scene.project.project().id, &Audience { counts })
            .await?;
    }
    loop {
        let count: i32 =
            sqlx::query_scalar("select ws_audience_count from realtime.messages where id = $1")
                .bind(message)
                .fetch_one(&mut sql)
                .await?;
        if count == 5 {
            return relay.stop().await;
        }
        ensure!(tokio::time::Instant::now() < deadline, "count is {count}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn messages_past_their_retention_are_deleted_batch_by_batch() -> anyhow::Result<()> {
    let scene = Scene::new().await?;
    let mut sql = scene.project.superuser().await?;
    // More than one batch, of every age.
    sql.execute(
        "insert into realtime.messages (event_name, channel_name, created_at)
        select 'old', 'orders', now() - make_interval(hours => 49 + n % 99)
        from generate_series(1, 1200) as n;
        insert into realtime.messages (event_name, channel_name, created_at)
        select 'young', 'orders', now() - make_interval(hours => n) from generate_series(1, 47) as n;
        -- As projects do that say who may publish.
        alter table realtime.messages enable row level security",
    )
    .await?;
    let settings = [("INGOT_REALTIME_RETENTION_INTERVAL", "1")];
    let relay = TestService::start(&scene.project, &settings, serve).await?;
    // Without a retention nothing is ever too old. Several times for deleting pass meanwhile.
    tokio::time::sleep(3 * QUIET).await;
    assert_eq!(counts(&mut sql).await?, (1200, 47));

    sql.execute("update realtime.config set retention_days = 2")
        .await?;
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let (old, young) = counts(&mut sql).await?;
        assert_eq!(young, 47);
        if old == 0 {
            return relay.stop().await;
        }
        ensure!(tokio::time::Instant::now() < deadline, "{old} are left");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn counts(sql: &mut PgConnection) -> anyhow::Result<(i64, i64)> {
    let counts = sqlx::query_as(
        "select count(*) filter (where event_name = 'old'),
            count(*) filter (where event_name = 'young')
        from realtime.messages",
    );
    Ok(counts.fetch_one(sql).await?)
}

#[tokio::test]
async fn nodes_hear_of_changed_channels_and_policies() -> anyhow::Result<()> {
    let scene = Scene::new().await?;
    let relay = scene.relay().await?;
    let mut room = scene.join("orders").await?;
    let mut sql = scene.project.superuser().await?;
    publish(&mut sql, "orders", 1).await?;
    assert_eq!(numbers(&mut room, 1).await?, [1], "the relay listens");
    let mut changes = scene.bus.invalidations(&scene.project.project().id).await?;
    for change in [
        "update realtime.channels set enabled = enabled",
        "insert into realtime.channels (pattern) values ('further')",
        "alter table realtime.channels enable row level security",
        "create policy several on realtime.channels for select to anon using (true)",
        "drop policy several on realtime.channels",
    ] {
        scene.project.execute(change).await?;
        let heard = tokio::time::timeout(PATIENCE, changes.next())
            .await
            .context(change)?;
        assert_eq!(heard, Some(Invalidation::Channels), "{change}");
        // One change may be told more than once.
        while let Ok(Some(_)) = tokio::time::timeout(QUIET, changes.next()).await {}
    }
    relay.stop().await
}
