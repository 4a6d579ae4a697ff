//! `system.database_backups`, `system.database_config`, and who may work on them now.

use std::time::Duration;

use ingot_http::Timestamp;
use serde::Serialize;
use sqlx::{AssertSqlSafe, FromRow, PgPool, Postgres, Transaction, raw_sql};
use time::OffsetDateTime;
use uuid::Uuid;

/// Longest text of a failure that is kept, in characters (contract, database §9).
const MAX_MESSAGE: usize = 4000;

/// A backup as it is shown.
#[derive(Debug, Clone, FromRow, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Backup {
    pub(super) id: Uuid,
    pub(super) name: Option<String>,
    pub(super) trigger_source: String,
    pub(super) status: String,
    pub(super) size_bytes: Option<i64>,
    pub(super) error_message: Option<String>,
    pub(super) created_at: Timestamp,
    pub(super) completed_at: Option<Timestamp>,
    pub(super) created_by: Option<String>,
    /// Filled where the list says so.
    #[sqlx(default)]
    pub(super) expires_at: Option<Timestamp>,
    #[serde(skip)]
    pub(super) storage_key: Option<String>,
}

const COLUMNS: &str = "id, name, trigger_source, status, size_bytes, error_message, created_at,
    completed_at, created_by, storage_key";

/// Settings of the schedule.
#[derive(Debug, Clone, FromRow)]
pub(super) struct Config {
    pub(super) enabled: bool,
    pub(super) cron: String,
    pub(super) retention_days: Option<i32>,
    /// What was due before is not made up for.
    pub(super) anchor: OffsetDateTime,
}

/// What only one of all replicas does at a time.
#[derive(Debug, Clone, Copy)]
pub(super) enum Work {
    /// A backup, or a restore.
    Files,
    /// A restore, or a change of names, settings and backups that must not happen during one.
    Records,
}

/// The right to do it, until it is dropped. It is a lock on a table of the platform's that an
/// administrator's SQL has no right to take, in a transaction that does nothing else; it ends with
/// the session, so a replica that dies blocks nobody.
#[derive(Debug)]
pub(super) struct Exclusive {
    _transaction: Transaction<'static, Postgres>,
}

/// Takes the right, or says with `None` that somebody else has kept it for so long.
pub(super) async fn exclude(
    pool: &PgPool,
    work: Work,
    patience: Duration,
) -> sqlx::Result<Option<Exclusive>> {
    let mut transaction = pool.begin().await?;
    let table = match work {
        Work::Files => "system.database_backups",
        Work::Records => "system.database_config",
    };
    // Zero would mean for ever.
    let lock = format!(
        "set local idle_in_transaction_session_timeout = 0;
         set local lock_timeout = '{}ms';
         lock table {table} in share update exclusive mode",
        patience.as_millis().max(1)
    );
    match raw_sql(AssertSqlSafe(lock))
        .execute(&mut *transaction)
        .await
    {
        Ok(_) => Ok(Some(Exclusive {
            _transaction: transaction,
        })),
        Err(sqlx::Error::Database(error)) if error.code().is_some_and(|it| it == "55P03") => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Newest first.
pub(super) async fn list(pool: &PgPool) -> sqlx::Result<Vec<Backup>> {
    sqlx::query_as(AssertSqlSafe(format!(
        "select {COLUMNS} from system.database_backups order by created_at desc, id"
    )))
    .fetch_all(pool)
    .await
}

pub(super) async fn find(pool: &PgPool, id: Uuid) -> sqlx::Result<Option<Backup>> {
    sqlx::query_as(AssertSqlSafe(format!(
        "select {COLUMNS} from system.database_backups where id = $1"
    )))
    .bind(id)
    .fetch_optional(pool)
    .await
}

/// A backup that begins.
pub(super) async fn begin(
    pool: &PgPool,
    name: Option<&str>,
    trigger: &str,
    created_by: Option<&str>,
) -> sqlx::Result<Backup> {
    sqlx::query_as(AssertSqlSafe(format!(
        "insert into system.database_backups (name, trigger_source, created_by)
         values ($1, $2, $3) returning {COLUMNS}"
    )))
    .bind(name)
    .bind(trigger)
    .bind(created_by)
    .fetch_one(pool)
    .await
}

pub(super) async fn complete(pool: &PgPool, id: Uuid, key: &str, size: i64) -> sqlx::Result<()> {
    sqlx::query(
        "update system.database_backups
         set status = 'completed', storage_key = $2, size_bytes = $3, completed_at = now()
         where id = $1",
    )
    .bind(id)
    .bind(key)
    .bind(size)
    .execute(pool)
    .await?;
    Ok(())
}

pub(super) async fn fail(pool: &PgPool, id: Uuid, reason: &str) -> sqlx::Result<()> {
    let reason: String = reason.chars().take(MAX_MESSAGE).collect();
    sqlx::query(
        "update system.database_backups
         set status = 'failed', error_message = $2, completed_at = now() where id = $1",
    )
    .bind(id)
    .bind(reason)
    .execute(pool)
    .await?;
    Ok(())
}

/// Ends backups that nobody works on any more. For whoever may do [`Work::Files`].
pub(super) async fn fail_interrupted(pool: &PgPool) -> sqlx::Result<()> {
    sqlx::query(
        "update system.database_backups
         set status = 'failed', completed_at = now(),
             error_message = 'The backup was interrupted: the server stopped while it ran'
         where status = 'running'",
    )
    .execute(pool)
    .await?;
    Ok(())
}

pub(super) async fn rename(
    pool: &PgPool,
    id: Uuid,
    name: Option<&str>,
) -> sqlx::Result<Option<Backup>> {
    sqlx::query_as(AssertSqlSafe(format!(
        "update system.database_backups set name = $2 where id = $1 returning {COLUMNS}"
    )))
    .bind(id)
    .bind(name)
    .fetch_optional(pool)
    .await
}

pub(super) async fn remove(pool: &PgPool, id: Uuid) -> sqlx::Result<()> {
    sqlx::query("delete from system.database_backups where id = $1")
        .bind(id)
        .execute(pool)
        .await?;
    Ok(())
}

/// Scheduled backups that are older than so many days.
pub(super) async fn expired(pool: &PgPool, days: i32) -> sqlx::Result<Vec<Backup>> {
    sqlx::query_as(AssertSqlSafe(format!(
        "select {COLUMNS} from system.database_backups
         where trigger_source = 'scheduled' and status <> 'running'
             and created_at < now() - make_interval(days => $1)
         order by created_at"
    )))
    .bind(days)
    .fetch_all(pool)
    .await
}

/// When the schedule last had a backup made, or tried to.
pub(super) async fn last_attempt(pool: &PgPool) -> sqlx::Result<Option<OffsetDateTime>> {
    sqlx::query_scalar(
        "select max(created_at) from system.database_backups where trigger_source = 'scheduled'",
    )
    .fetch_one(pool)
    .await
}

/// `None` if the one row is missing.
pub(super) async fn config(pool: &PgPool) -> sqlx::Result<Option<Config>> {
    sqlx::query_as(
        "select backup_enabled as enabled, backup_cron_schedule as cron,
             backup_retention_days as retention_days, backup_schedule_anchor as anchor
         from system.database_config",
    )
    .fetch_optional(pool)
    .await
}

pub(super) async fn set_config(pool: &PgPool, config: &Config) -> sqlx::Result<()> {
    sqlx::query(
        "update system.database_config
         set backup_enabled = $1, backup_cron_schedule = $2, backup_retention_days = $3,
             backup_schedule_anchor = $4",
    )
    .bind(config.enabled)
    .bind(&config.cron)
    .bind(config.retention_days)
    .bind(config.anchor)
    .execute(pool)
    .await?;
    Ok(())
}
