//! What PostgreSQL writes to its log for messages that are published and counted.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use anyhow::ensure;
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

/// Messages in transactions of their own, published and counted by the relay, against one insert
/// and, some messages later, one update for each.
pub(super) async fn log_bytes(stack: &Stack) -> anyhow::Result<Vec<Row>> {
    let mut sql = stack.sql().await?;
    let mut socket = Socket::open(&stack.entrance(Some("bench:log"))?).await?;
    let reading = tokio::spawn(async move { while socket.event().await.is_ok() {} });
    let ours = published(&mut sql).await?;
    reading.abort();
    let theirs = updated_one_by_one(&mut sql).await?;
    #[allow(clippy::cast_precision_loss, reason = "some thousands")]
    let (ours, theirs) = (ours as f64, theirs as f64);
    Ok(vec![row(
        format!("log of PostgreSQL per published and counted message, {MESSAGES} of them"),
        format!("{ours:.0} bytes ({:.2})", ours / theirs),
        format!("{theirs:.0} bytes, INSERT and UPDATE (1)"),
        "0.6",
    )])
}

async fn published(sql: &mut PgConnection) -> anyhow::Result<i64> {
    let begin = position(sql).await?;
    for number in 0..MESSAGES {
        sqlx::query("select realtime.publish('bench:log', 'm', jsonb_build_object('n', $1))")
            .bind(number)
            .execute(&mut *sql)
            .await?;
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
    Ok((position(sql).await? - begin) / MESSAGES)
}

/// On a table of the same form, so that the relay does nothing of it.
async fn updated_one_by_one(sql: &mut PgConnection) -> anyhow::Result<i64> {
    for statement in [
        "create schema bench",
        "create table bench.messages (like realtime.messages including all)",
        "alter table bench.messages alter column sequence drop identity if exists",
    ] {
        sqlx::query(statement).execute(&mut *sql).await?;
    }
    let begin = position(sql).await?;
    let mut uncounted = VecDeque::new();
    for number in 0..MESSAGES {
        let id: Uuid = sqlx::query_scalar(
            "insert into bench.messages (event_name, channel_name, payload, sequence, xid)
            values ('m', 'bench:log', jsonb_build_object('n', $1), $1, pg_current_xact_id())
            returning id",
        )
        .bind(number)
        .fetch_one(&mut *sql)
        .await?;
        uncounted.push_back(id);
        if uncounted.len() > BEHIND {
            count_first(sql, &mut uncounted).await?;
        }
    }
    while !uncounted.is_empty() {
        count_first(sql, &mut uncounted).await?;
    }
    Ok((position(sql).await? - begin) / MESSAGES)
}

async fn count_first(sql: &mut PgConnection, ids: &mut VecDeque<Uuid>) -> anyhow::Result<()> {
    sqlx::query("update bench.messages set ws_audience_count = 1 where id = $1")
        .bind(ids.pop_front())
        .execute(sql)
        .await?;
    Ok(())
}

/// Where the log ends, in bytes, behind a checkpoint: pages that are written whole for the first
/// time after it are the same for both.
async fn position(sql: &mut PgConnection) -> anyhow::Result<i64> {
    sqlx::query("checkpoint").execute(&mut *sql).await?;
    Ok(
        sqlx::query_scalar("select (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::int8")
            .fetch_one(sql)
            .await?,
    )
}
