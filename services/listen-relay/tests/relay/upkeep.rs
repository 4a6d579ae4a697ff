//! What a relay does besides: counting, deleting, telling nodes of changes.

use std::time::Duration;

use anyhow::{Context, ensure};
use futures::StreamExt;
use ingot_bus::{Audience, Invalidation};
use ingot_listen_relay::serve;
use ingot_schema::RealtimeSource;
use ingot_testkit::TestService;
use sqlx::{AssertSqlSafe, Executor, PgConnection};
use uuid::Uuid;

use crate::scene::{PATIENCE, QUIET, Scene, nothing_more, numbers, publish};

#[tokio::test]
async fn only_enabled_channels_are_relayed_and_long_payloads_stay_behind() -> anyhow::Result<()> {
    let scene = Scene::new(RealtimeSource::Listen).await?;
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
    let scene = Scene::new(RealtimeSource::Listen).await?;
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

/// Otherwise every count would be a new entry in every index.
#[tokio::test]
async fn counted_messages_stay_on_their_pages() -> anyhow::Result<()> {
    let (roomy, packed) = (moved(None).await?, moved(Some(100)).await?);
    // A row here and there has to move, where old versions are not removed in time.
    ensure!(
        roomy * 2 < packed,
        "{roomy} rows were moved, and {packed} where pages were filled"
    );
    Ok(())
}

/// How many messages were moved to another page by being counted, where pages are filled to so many
/// percent; `None` is what the schema says.
async fn moved(filled: Option<u8>) -> anyhow::Result<i64> {
    const MANY: i64 = 400;
    const MOVED: &str = "select n_tup_upd, n_tup_upd - n_tup_hot_upd
        from pg_stat_user_tables where relid = 'realtime.messages'::regclass";
    let scene = Scene::new(RealtimeSource::Listen).await?;
    let relay = scene.relay().await?;
    let mut sql = scene.project.superuser().await?;
    if let Some(percent) = filled {
        let fill = format!("alter table realtime.messages set (fillfactor = {percent})");
        sql.execute(AssertSqlSafe(fill)).await?;
    }
    let messages: Vec<Uuid> = sqlx::query_scalar(
        "select realtime.publish('orders', 'e', '{}') from generate_series(1, $1)",
    )
    .bind(MANY)
    .fetch_all(&mut sql)
    .await?;
    tokio::time::sleep(QUIET).await;
    let counts = messages.into_iter().map(|message| (message, 1)).collect();
    scene
        .bus
        .publish_audience(&scene.project.project().id, &Audience { counts })
        .await?;
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let counted: i64 = sqlx::query_scalar(
            "select count(*) from realtime.messages where ws_audience_count = 1",
        )
        .fetch_one(&mut sql)
        .await?;
        if counted == MANY {
            break;
        }
        ensure!(
            tokio::time::Instant::now() < deadline,
            "{counted} are counted"
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // Whoever wrote tells the statistics at the end, if not before.
    relay.stop().await?;
    loop {
        let (all, moved): (i64, i64) = sqlx::query_as(MOVED).fetch_one(&mut sql).await?;
        if all >= MANY {
            return Ok(moved);
        }
        ensure!(
            tokio::time::Instant::now() < deadline + PATIENCE,
            "the statistics know of {all}"
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn messages_past_their_retention_are_deleted_batch_by_batch() -> anyhow::Result<()> {
    let scene = Scene::new(RealtimeSource::Listen).await?;
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
    let scene = Scene::new(RealtimeSource::Listen).await?;
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
