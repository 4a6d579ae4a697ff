//! SQL as the user, so that the project's policies decide, and the look-up of channels as the
//! platform.

use std::time::Duration;

use ingot_identity::Identity;
use ingot_project::{LoginRole, Pools, ProjectId};
use sqlx::{Postgres, Transaction, query, query_as, query_scalar};
use uuid::Uuid;

/// Longest time that one check or insert may take.
const TIMEOUT: Duration = Duration::from_secs(8);

/// Why PostgreSQL did not do it.
#[derive(Debug, thiserror::Error)]
pub(super) enum StoreError {
    /// It understood and said no.
    #[error("{0}")]
    Refused(sqlx::Error),
    /// It could not be asked.
    #[error("{0}")]
    Unavailable(String),
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::Database(_) => Self::Refused(error),
            other => Self::Unavailable(other.to_string()),
        }
    }
}

/// A row for `realtime.messages`.
pub(super) struct Message<'a> {
    pub(super) channel_id: Uuid,
    pub(super) channel: &'a str,
    pub(super) event: &'a str,
    /// JSON text.
    pub(super) payload: &'a str,
    pub(super) sender_type: &'static str,
    pub(super) sender_id: Option<Uuid>,
}

/// What a caller sees of a channel.
pub(super) struct Visible {
    /// There is an enabled channel that fits the name.
    pub(super) visible: bool,
    /// Policies say so; for others of the same role it may be different.
    pub(super) by_policy: bool,
}

/// Whether the caller sees an enabled channel that fits the name.
pub(super) async fn may_subscribe(
    pools: &Pools,
    project: &ProjectId,
    identity: &Identity,
    channel: &str,
) -> Result<Visible, StoreError> {
    within(async {
        let mut transaction = begin_as(pools, project, identity, channel).await?;
        let (visible, by_policy) = query_as(
            "select
                exists (
                    select from realtime.channels
                    where enabled and (pattern = $1 or $1 like pattern)
                ),
                row_security_active('realtime.channels')",
        )
        .bind(channel)
        .fetch_one(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(Visible { visible, by_policy })
    })
    .await
}

/// The enabled channel that a name belongs to: the exact pattern, else the longest that fits, as
/// `realtime.publish()` chooses.
pub(super) async fn channel(
    pools: &Pools,
    project: &ProjectId,
    name: &str,
) -> Result<Option<Uuid>, StoreError> {
    within(async {
        let pool = pools
            .get(project, LoginRole::Service)
            .map_err(|error| StoreError::Unavailable(error.to_string()))?;
        let id = query_scalar(
            "select id from realtime.channels
            where enabled and (pattern = $1 or $1 like pattern)
            order by pattern = $1 desc, length(pattern) desc, pattern
            limit 1",
        )
        .bind(name)
        .fetch_optional(&pool)
        .await?;
        Ok(id)
    })
    .await
}

/// Inserts a message as the caller. Nothing is returned: users may not read the table.
pub(super) async fn insert(
    pools: &Pools,
    project: &ProjectId,
    identity: &Identity,
    message: &Message<'_>,
) -> Result<(), StoreError> {
    within(async {
        let mut transaction = begin_as(pools, project, identity, message.channel).await?;
        query(
            "insert into realtime.messages
                (event_name, channel_id, channel_name, payload, sender_type, sender_id)
            values ($1, $2, $3, $4::jsonb, $5, $6)",
        )
        .bind(message.event)
        .bind(message.channel_id)
        .bind(message.channel)
        .bind(message.payload)
        .bind(message.sender_type)
        .bind(message.sender_id)
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(())
    })
    .await
}

/// A transaction in which PostgreSQL takes the caller for who he is (contract, realtime §11), and
/// a message remembers the trace that it belongs to.
async fn begin_as(
    pools: &Pools,
    project: &ProjectId,
    identity: &Identity,
    channel: &str,
) -> Result<Transaction<'static, Postgres>, StoreError> {
    let pool = pools
        .get(project, LoginRole::Authenticator)
        .map_err(|error| StoreError::Unavailable(error.to_string()))?;
    let mut transaction = pool.begin().await?;
    query(
        "select
            set_config('role', $1, true),
            set_config('request.jwt.claims', $2, true),
            set_config('request.jwt.claim.sub', coalesce($2::json ->> 'sub', ''), true),
            set_config('realtime.channel_name', $3, true),
            set_config('ingot.traceparent', $4, true)",
    )
    .bind(identity.role.as_str())
    .bind(identity.claims_json())
    .bind(channel)
    .bind(ingot_telemetry::current_traceparent().unwrap_or_default())
    .execute(&mut *transaction)
    .await?;
    Ok(transaction)
}

async fn within<T>(work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    tokio::time::timeout(TIMEOUT, work)
        .await
        .unwrap_or_else(|_| Err(StoreError::Unavailable("no answer in time".to_owned())))
}
