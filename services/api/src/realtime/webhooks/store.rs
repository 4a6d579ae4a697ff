//! The rows of `realtime.webhook_deliveries` that failed.

use ingot_http::Timestamp;
use serde::Serialize;
use sqlx::{FromRow, PgPool};
use uuid::Uuid;

use super::service::Page;

/// A webhook that was given up.
#[derive(Debug, Serialize, FromRow)]
#[serde(rename_all = "camelCase")]
pub(super) struct Failure {
    id: Uuid,
    message_id: Uuid,
    channel_name: String,
    event_name: String,
    url: String,
    attempts: i32,
    /// What the receiver answered, if it did.
    status: Option<i32>,
    error: Option<String>,
    created_at: Timestamp,
    failed_at: Timestamp,
}

/// Newest first.
pub(super) async fn failures(pool: &PgPool, page: Page) -> sqlx::Result<Vec<Failure>> {
    sqlx::query_as(
        "select
             d.id, d.message_id, m.channel_name, m.event_name, d.url, d.attempts, d.status, d.error,
             d.created_at, d.failed_at
         from realtime.webhook_deliveries as d
         join realtime.messages as m on m.id = d.message_id
         where d.failed_at is not null
         order by d.failed_at desc, d.sequence desc
         limit $1 offset $2",
    )
    .bind(page.limit)
    .bind(page.offset)
    .fetch_all(pool)
    .await
}

/// Queues one failure again, or all. Returns how many.
pub(super) async fn replay(pool: &PgPool, id: Option<Uuid>) -> sqlx::Result<u64> {
    let done = sqlx::query(
        "update realtime.webhook_deliveries
         set failed_at = null, attempts = 0, next_attempt_at = now(), status = null, error = null
         where failed_at is not null and ($1::uuid is null or id = $1)",
    )
    .bind(id)
    .execute(pool)
    .await?;
    Ok(done.rows_affected())
}

pub(super) async fn remove(pool: &PgPool, id: Uuid) -> sqlx::Result<u64> {
    let done = sqlx::query(
        "delete from realtime.webhook_deliveries where failed_at is not null and id = $1",
    )
    .bind(id)
    .execute(pool)
    .await?;
    Ok(done.rows_affected())
}
