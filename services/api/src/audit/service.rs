//! What part of the trail is shown, and for how long it is kept.

use ingot_http::{ApiError, Paged};
use serde::Serialize;
use serde_json::{Map, Value};
use sqlx::PgPool;
use time::{Duration, OffsetDateTime};

use super::store::{self, Filter, ShownEntry};

/// Most entries in one answer.
const MAX_LIMIT: i64 = 1000;

/// Statistics as they are shown.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Statistics {
    total_logs: i64,
    unique_actors: i64,
    unique_modules: usize,
    actions_by_module: Map<String, Value>,
    recent_activity: Vec<ShownEntry>,
}

pub(super) async fn list(
    pool: &PgPool,
    filter: &Filter,
    limit: i64,
    offset: i64,
) -> Result<Paged<ShownEntry>, ApiError> {
    let total = store::count(pool, filter).await?;
    let items = store::list(pool, filter, limit.clamp(0, MAX_LIMIT), offset.max(0)).await?;
    Ok(Paged {
        items,
        offset: offset.max(0),
        total,
    })
}

pub(super) async fn statistics(pool: &PgPool, days: i64) -> Result<Statistics, ApiError> {
    let numbers = store::numbers(pool, days_ago(days)).await?;
    Ok(Statistics {
        total_logs: numbers.total,
        unique_actors: numbers.actors,
        unique_modules: numbers.by_module.len(),
        actions_by_module: numbers
            .by_module
            .into_iter()
            .map(|(module, count)| (module, count.into()))
            .collect(),
        recent_activity: numbers.recent,
    })
}

pub(super) async fn remove_older_than(pool: &PgPool, days: i64) -> Result<u64, ApiError> {
    Ok(store::remove_before(pool, days_ago(days)).await?)
}

/// The time so many days ago; further back than the calendar goes is the beginning of time.
fn days_ago(days: i64) -> OffsetDateTime {
    OffsetDateTime::now_utc()
        .checked_sub(Duration::days(days.clamp(0, 100_000)))
        .unwrap_or(OffsetDateTime::UNIX_EPOCH)
}
