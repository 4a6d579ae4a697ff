//! `auth.sessions` and `auth.refresh_tokens`.

use ingot_identity::{RefreshClaims, SessionType};
use sqlx::{FromRow, PgConnection, PgPool};
use time::OffsetDateTime;
use uuid::Uuid;

/// Stores a session with its first refresh token.
pub(super) async fn insert(
    pool: &PgPool,
    user_id: Option<Uuid>,
    first: &RefreshClaims,
) -> sqlx::Result<()> {
    sqlx::query(
        "with session as (
             insert into auth.sessions (id, user_id, subject, session_type, csrf_nonce, expires_at)
             values ($1, $2, $3, $4, $5, $6))
         insert into auth.refresh_tokens (id, session_id, issued_at, expires_at)
         values ($7, $1, $8, $6)",
    )
    .bind(first.sid)
    .bind(user_id)
    .bind(&first.sub)
    .bind(first.session_type.as_str())
    .bind(&first.csrf_nonce)
    .bind(time_of(first.exp))
    .bind(first.jti)
    .bind(time_of(first.iat))
    .execute(pool)
    .await?;
    Ok(())
}

/// Locks a live session until the transaction ends, so that refreshes of it happen one after
/// another on all replicas. `false` if it ended or never was.
pub(super) async fn lock(
    connection: &mut PgConnection,
    claims: &RefreshClaims,
) -> sqlx::Result<bool> {
    let found: Option<Uuid> = sqlx::query_scalar(
        "select id from auth.sessions
         where id = $1 and session_type = $2 and subject = $3 and csrf_nonce = $4
           and revoked_at is null and expires_at > now()
         for update",
    )
    .bind(claims.sid)
    .bind(claims.session_type.as_str())
    .bind(&claims.sub)
    .bind(&claims.csrf_nonce)
    .fetch_optional(connection)
    .await?;
    Ok(found.is_some())
}

/// A refresh token of a session.
#[derive(Debug, FromRow)]
pub(super) struct Token {
    pub(super) id: Uuid,
    pub(super) issued_at: OffsetDateTime,
    pub(super) expires_at: OffsetDateTime,
    /// Seconds since it was exchanged for the next one, by the database's clock: replicas' clocks
    /// need not agree.
    pub(super) seconds_since_use: Option<f64>,
}

/// A token by its id.
pub(super) async fn token(
    connection: &mut PgConnection,
    claims: &RefreshClaims,
) -> sqlx::Result<Option<Token>> {
    sqlx::query_as(
        "select id, issued_at, expires_at,
                extract(epoch from clock_timestamp() - used_at)::float8 as seconds_since_use
         from auth.refresh_tokens
         where id = $1 and session_id = $2",
    )
    .bind(claims.jti)
    .bind(claims.sid)
    .fetch_optional(connection)
    .await
}

/// The session's live token.
pub(super) async fn live_token(
    connection: &mut PgConnection,
    session: Uuid,
) -> sqlx::Result<Option<Token>> {
    sqlx::query_as(
        "select id, issued_at, expires_at, null::float8 as seconds_since_use
         from auth.refresh_tokens
         where session_id = $1 and used_at is null
         order by issued_at desc limit 1",
    )
    .bind(session)
    .fetch_optional(connection)
    .await
}

/// Retires the token of `claims`, stores `next` in its place and lets the session live as long as
/// that. Tokens that have expired are forgotten.
pub(super) async fn replace(
    connection: &mut PgConnection,
    claims: &RefreshClaims,
    next: &RefreshClaims,
) -> sqlx::Result<()> {
    sqlx::query(
        "insert into auth.refresh_tokens (id, session_id, issued_at, expires_at)
         values ($1, $2, $3, $4)",
    )
    .bind(next.jti)
    .bind(next.sid)
    .bind(time_of(next.iat))
    .bind(time_of(next.exp))
    .execute(&mut *connection)
    .await?;
    sqlx::query(
        "update auth.refresh_tokens set used_at = clock_timestamp(), replaced_by = $2
         where id = $1",
    )
    .bind(claims.jti)
    .bind(next.jti)
    .execute(&mut *connection)
    .await?;
    sqlx::query(
        "update auth.sessions set last_refreshed_at = now(), expires_at = $2 where id = $1",
    )
    .bind(next.sid)
    .bind(time_of(next.exp))
    .execute(&mut *connection)
    .await?;
    sqlx::query("delete from auth.refresh_tokens where session_id = $1 and expires_at < now()")
        .bind(next.sid)
        .execute(connection)
        .await?;
    Ok(())
}

/// Ends a session.
pub(super) async fn revoke(
    executor: impl sqlx::PgExecutor<'_>,
    session: Uuid,
    session_type: SessionType,
) -> sqlx::Result<()> {
    sqlx::query(
        "update auth.sessions set revoked_at = now()
         where id = $1 and session_type = $2 and revoked_at is null",
    )
    .bind(session)
    .bind(session_type.as_str())
    .execute(executor)
    .await?;
    Ok(())
}

/// Removes some of the sessions that have expired, with their tokens; says how many.
pub(super) async fn remove_expired(pool: &PgPool, most: i64) -> sqlx::Result<u64> {
    let done = sqlx::query(
        "delete from auth.sessions where id in
             (select id from auth.sessions where expires_at < now()
              order by expires_at limit $1 for update skip locked)",
    )
    .bind(most)
    .execute(pool)
    .await?;
    Ok(done.rows_affected())
}

fn time_of(seconds: u64) -> OffsetDateTime {
    i64::try_from(seconds)
        .ok()
        .and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok())
        .unwrap_or(OffsetDateTime::UNIX_EPOCH)
}
