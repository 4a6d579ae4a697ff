//! What may be asked about webhooks that failed.

use http::StatusCode;
use ingot_http::{ApiError, Code};
use sqlx::PgPool;
use uuid::Uuid;

use super::super::service::read_number;
use super::store::{self, Failure};

/// Most failures in one answer.
const MAX_LIMIT: i64 = 1_000;

/// Which failures are wanted, newest first.
#[derive(Debug, Clone, Copy)]
pub(super) struct Page {
    pub(super) limit: i64,
    pub(super) offset: i64,
}

impl Page {
    pub(super) fn read(limit: Option<&str>, offset: Option<&str>) -> Result<Self, ApiError> {
        Ok(Self {
            limit: read_number("limit", limit, 100, 1, MAX_LIMIT)?,
            offset: read_number("offset", offset, 0, 0, i64::MAX)?,
        })
    }
}

pub(super) async fn failures(pool: &PgPool, page: Page) -> Result<Vec<Failure>, ApiError> {
    Ok(store::failures(pool, page).await?)
}

/// Queues all failures again. Each address gets its messages in their order.
pub(super) async fn replay_all(pool: &PgPool) -> Result<u64, ApiError> {
    Ok(store::replay(pool, None).await?)
}

pub(super) async fn replay(pool: &PgPool, id: &str) -> Result<(), ApiError> {
    some(store::replay(pool, Some(failure_id(id)?)).await?)
}

pub(super) async fn remove(pool: &PgPool, id: &str) -> Result<(), ApiError> {
    some(store::remove(pool, failure_id(id)?).await?)
}

/// What is no id is the id of no failure.
fn failure_id(text: &str) -> Result<Uuid, ApiError> {
    text.parse().map_err(|_| no_failure())
}

fn some(count: u64) -> Result<(), ApiError> {
    if count == 0 {
        Err(no_failure())
    } else {
        Ok(())
    }
}

fn no_failure() -> ApiError {
    ApiError::new(
        StatusCode::NOT_FOUND,
        Code::NotFound,
        "No webhook of this id has failed",
    )
    .with_hint("GET /api/realtime/webhooks/failures lists them")
}
