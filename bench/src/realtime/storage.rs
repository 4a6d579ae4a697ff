//! What PostgreSQL writes to its log for messages that are published and counted.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use sqlx::PgConnection;
use tokio::time::sleep;
use uuid::Uuid;

use super::figures::{Row, row};
use super::socket::Socket;
use super::stack::Stack;

const MESSAGES: i64 = 10_000;
const PATIENCE: Duration = Duration::from_mins(2);
/// Messages that are published before a count comes back.
const BEHIND: usize = 100;

/// Messages in transactions of their own, published and counted by the relay; the same with an
/// update for each, some messages later; and the same without any counting.
pub(super) async fn log_bytes(stack: &Stack) -> anyhow::Result<Vec<Row>> {
    let mut sql = stack.sql().await?;
    let mut socket = Socket::open(&stack.entrance(Some("bench:log"))?).await?;
    let reading = tokio::spawn(async move { while socket.event().await.is_ok() {} });
    let ours = counted_by_relay(&mut sql).await?;
    reading.abort();
    let theirs = counted_one_by_one(&mut sql).await?;
    let alone = not_counted(&mut sql).await?;
    #[allow(clippy::cast_precision_loss, reason = "some thousands")]
    let share = |bytes: i64| bytes as f64 / theirs as f64;
    Ok(vec![
        row(
            format!("log of PostgreSQL per published and counted message, {MESSAGES} of them"),
            format!("{ours} bytes ({:.2})", share(ours)),
            format!("{theirs} bytes, INSERT and UPDATE (1)"),
            "0.6",
        ),
        row(
            "the same, not counted".to_owned(),
            format!("{alone} bytes ({:.2})", share(alone)),
            "–".to_owned(),
            "–",
        ),
    ])
}

/// There is a subscriber, so the nodes count and the relay writes.
async fn counted_by_relay(sql: &mut PgConnection) -> anyhow::Result<i64> {
    let begin = begin(sql).await?;
    for number in 0..MESSAGES {
        publish(sql, "bench:log", number).await?;
    }
    let deadline = Instant::now() + PATIENCE;
    loop {
        let counted: i64 = sqlx::query_scalar(
            "select count(*) from realtime.messages
            where channel_name = 'bench:log' and ws_audience_count > 0",
        )
        .fetch_one(&mut *sql)
        .await?;
        if counted == MESSAGES {
            break;
        }
        ensure!(
            Instant::now() < deadline,
            "only {counted} messages are counted"
        );
        sleep(Duration::from_millis(200)).await;
    }
    written_since(sql, begin).await
}

/// Nobody subscribes; the counts are written here.
async fn counted_one_by_one(sql: &mut PgConnection) -> anyhow::Result<i64> {
    let begin = begin(sql).await?;
    let mut uncounted = VecDeque::new();
    for number in 0..MESSAGES {
        uncounted.push_back(publish(sql, "bench:log:peer", number).await?);
        if uncounted.len() > BEHIND {
            count_first(sql, &mut uncounted).await?;
        }
    }
    while !uncounted.is_empty() {
        count_first(sql, &mut uncounted).await?;
    }
    written_since(sql, begin).await
}

async fn not_counted(sql: &mut PgConnection) -> anyhow::Result<i64> {
    let begin = begin(sql).await?;
    for number in 0..MESSAGES {
        publish(sql, "bench:log:alone", number).await?;
    }
    written_since(sql, begin).await
}

async fn publish(sql: &mut PgConnection, channel: &str, number: i64) -> anyhow::Result<Uuid> {
    let id: Option<Uuid> =
        sqlx::query_scalar("select realtime.publish($1, 'm', jsonb_build_object('n', $2))")
            .bind(channel)
            .bind(number)
            .fetch_one(sql)
            .await?;
    id.context("no channel fits")
}

async fn count_first(sql: &mut PgConnection, ids: &mut VecDeque<Uuid>) -> anyhow::Result<()> {
    sqlx::query("update realtime.messages set ws_audience_count = 1 where id = $1")
        .bind(ids.pop_front())
        .execute(sql)
        .await?;
    Ok(())
}

/// Empties the table, so that each measurement finds the same, and returns where the log ends.
async fn begin(sql: &mut PgConnection) -> anyhow::Result<i64> {
    // What was published before may still be counted.
    sleep(Duration::from_secs(3)).await;
    for statement in [
        // The table's triggers keep everybody from that.
        "set session_replication_role = replica",
        "truncate realtime.messages cascade",
        "reset session_replication_role",
    ] {
        sqlx::query(statement).execute(&mut *sql).await?;
    }
    position(sql).await
}

async fn written_since(sql: &mut PgConnection, begin: i64) -> anyhow::Result<i64> {
    Ok((position(sql).await? - begin) / MESSAGES)
}

/// Where the log ends, in bytes, behind a checkpoint: pages that are written whole for the first
/// time after it are the same for all.
async fn position(sql: &mut PgConnection) -> anyhow::Result<i64> {
    sqlx::query("checkpoint").execute(&mut *sql).await?;
    Ok(
        sqlx::query_scalar("select (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::int8")
            .fetch_one(sql)
            .await?,
    )
}
