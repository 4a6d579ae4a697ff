//! Payloads that were too long for the bus.

use std::time::Duration;

use ingot_project::{LoginRole, Pools, ProjectId};
use serde_json::value::RawValue;
use sqlx::query_scalar;
use uuid::Uuid;

/// Longest time that one read may take.
const TIMEOUT: Duration = Duration::from_secs(10);

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
