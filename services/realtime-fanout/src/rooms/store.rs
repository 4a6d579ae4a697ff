//! What a message's row knows: a payload that was too long for the bus, and its age.

use std::time::Duration;

use ingot_project::{LoginRole, Pools, ProjectId};
use serde_json::value::RawValue;
use sqlx::query_scalar;
use time::OffsetDateTime;
use uuid::Uuid;

/// Longest time that one read may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Longest time that a client that came back waits for a row; there is another way.
const SHORT_TIMEOUT: Duration = Duration::from_secs(1);

/// The payload of a message; `None` if the row is gone.
pub(super) async fn payload(
    pools: &Pools,
    project: &ProjectId,
    message: Uuid,
) -> anyhow::Result<Option<Box<RawValue>>> {
    let pool = pools.get(project, LoginRole::Service)?;
    let read = query_scalar("select payload::text from realtime.messages where id = $1")
        .bind(message)
        .fetch_optional(&pool);
    let text: Option<String> = tokio::time::timeout(TIMEOUT, read).await??;
    Ok(text.map(RawValue::from_string).transpose()?)
}

/// When the transaction of a message began; `None` if the row is gone or never was.
pub(super) async fn published_at(
    pools: &Pools,
    project: &ProjectId,
    message: Uuid,
) -> anyhow::Result<Option<OffsetDateTime>> {
    let pool = pools.get(project, LoginRole::Service)?;
    let read = query_scalar("select created_at from realtime.messages where id = $1")
        .bind(message)
        .fetch_optional(&pool);
    let time: Option<Option<OffsetDateTime>> = tokio::time::timeout(SHORT_TIMEOUT, read).await??;
    Ok(time.flatten())
}
