//! `system.secrets`. Values pass through here encrypted only.

use ingot_http::Timestamp;
use serde::Serialize;
use sqlx::{FromRow, PgConnection, PgPool};
use time::OffsetDateTime;
use uuid::Uuid;

/// A secret without its value.
#[derive(Debug, FromRow, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Listed {
    id: Uuid,
    key: String,
    is_active: bool,
    is_reserved: bool,
    last_used_at: Option<Timestamp>,
    expires_at: Option<Timestamp>,
    created_at: Timestamp,
    updated_at: Timestamp,
}

/// All secrets, newest first, inactive and reserved ones included.
pub(super) async fn list(pool: &PgPool) -> sqlx::Result<Vec<Listed>> {
    sqlx::query_as(
        "select id, key, coalesce(is_active, false) as is_active,
                coalesce(is_reserved, false) as is_reserved, last_used_at, expires_at,
                coalesce(created_at, now()) as created_at, coalesce(updated_at, now()) as updated_at
         from system.secrets order by created_at desc, key",
    )
    .fetch_all(pool)
    .await
}

/// The encrypted value of an active secret that has not expired; notes that it was used.
pub(super) async fn use_value(
    connection: &mut PgConnection,
    key: &str,
) -> sqlx::Result<Option<String>> {
    sqlx::query_scalar(
        "update system.secrets set last_used_at = now()
         where key = $1 and is_active and (expires_at is null or expires_at > now())
         returning value_ciphertext",
    )
    .bind(key)
    .fetch_optional(connection)
    .await
}

/// A secret to be stored.
#[derive(Debug)]
pub(super) struct NewSecret<'a> {
    pub(super) key: &'a str,
    pub(super) ciphertext: &'a str,
    pub(super) is_reserved: bool,
    pub(super) expires_at: Option<OffsetDateTime>,
}

/// Stores a secret, bringing an inactive one of that name back to life; its former end holds on
/// unless a new one is given. `None` if there is an active (or reserved) one.
pub(super) async fn create(
    connection: &mut PgConnection,
    secret: NewSecret<'_>,
) -> sqlx::Result<Option<Uuid>> {
    sqlx::query_scalar(
        "insert into system.secrets as s (key, value_ciphertext, is_reserved, expires_at)
         values ($1, $2, $3, $4)
         on conflict (key) do update
             set value_ciphertext = excluded.value_ciphertext, is_active = true,
                 is_reserved = excluded.is_reserved,
                 expires_at = coalesce(excluded.expires_at, s.expires_at)
             where not s.is_active and not s.is_reserved
         returning id",
    )
    .bind(secret.key)
    .bind(secret.ciphertext)
    .bind(secret.is_reserved)
    .bind(secret.expires_at)
    .fetch_optional(connection)
    .await
}

/// Whether a secret is reserved; `None` if there is none of that name. Locks it.
pub(super) async fn reserved(
    connection: &mut PgConnection,
    key: &str,
) -> sqlx::Result<Option<bool>> {
    sqlx::query_scalar(
        "select coalesce(is_reserved, false) from system.secrets where key = $1 for update",
    )
    .bind(key)
    .fetch_optional(connection)
    .await
}

/// Changes of a secret; `None` leaves a part as it is.
#[derive(Debug, Default)]
pub(super) struct Changes {
    pub(super) ciphertext: Option<String>,
    pub(super) is_active: Option<bool>,
    pub(super) is_reserved: Option<bool>,
    /// `Some(None)` removes the end.
    #[allow(
        clippy::option_option,
        reason = "keep, remove and set are three things"
    )]
    pub(super) expires_at: Option<Option<OffsetDateTime>>,
}

pub(super) async fn change(
    connection: &mut PgConnection,
    key: &str,
    changes: &Changes,
) -> sqlx::Result<()> {
    sqlx::query(
        "update system.secrets set
             value_ciphertext = coalesce($2, value_ciphertext),
             is_active = coalesce($3, is_active),
             is_reserved = coalesce($4, is_reserved),
             expires_at = case when $5 then $6 else expires_at end
         where key = $1",
    )
    .bind(key)
    .bind(&changes.ciphertext)
    .bind(changes.is_active)
    .bind(changes.is_reserved)
    .bind(changes.expires_at.is_some())
    .bind(changes.expires_at.flatten())
    .execute(connection)
    .await?;
    Ok(())
}

/// Puts a reserved secret aside under `former_key`, which ends at `expires_at`. `false` if there
/// is none.
pub(super) async fn put_aside(
    connection: &mut PgConnection,
    key: &str,
    former_key: &str,
    expires_at: OffsetDateTime,
) -> sqlx::Result<bool> {
    let done = sqlx::query("update system.secrets set key = $2, expires_at = $3 where key = $1")
        .bind(key)
        .bind(former_key)
        .bind(expires_at)
        .execute(connection)
        .await?;
    Ok(done.rows_affected() > 0)
}
