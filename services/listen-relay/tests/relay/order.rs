//! What arrives, and in which order.

use ingot_schema::RealtimeSource;
use sqlx::{Connection, Executor};

use crate::scene::{QUIET, Scene, for_both_sources, nothing_more, numbers, publish};

for_both_sources! {
    a_burst_arrives_in_insert_order,
    overlapping_transactions_arrive_in_commit_order,
    what_committed_without_a_relay_is_caught_up,
    catching_up_keeps_commit_order,
}

async fn a_burst_arrives_in_insert_order(source: RealtimeSource) -> anyhow::Result<()> {
    let scene = Scene::new(source).await?;
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

async fn overlapping_transactions_arrive_in_commit_order(
    source: RealtimeSource,
) -> anyhow::Result<()> {
    let scene = Scene::new(source).await?;
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

async fn what_committed_without_a_relay_is_caught_up(source: RealtimeSource) -> anyhow::Result<()> {
    let scene = Scene::new(source).await?;
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

async fn catching_up_keeps_commit_order(source: RealtimeSource) -> anyhow::Result<()> {
    let scene = Scene::new(source).await?;
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
