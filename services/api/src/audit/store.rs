//! `system.audit_logs`.

use std::net::IpAddr;

use ingot_http::Timestamp;
use serde::Serialize;
use serde_json::Value;
use sqlx::{FromRow, PgExecutor, PgPool};
use time::OffsetDateTime;
use uuid::Uuid;

/// Entries in the short list of the statistics.
const RECENT_ENTRIES: i64 = 10;

/// What is noted.
#[derive(Debug)]
pub(crate) struct Entry<'a> {
    /// `Identity::actor()` of the caller.
    pub(crate) actor: &'a str,
    /// For example `CREATE_SECRET`.
    pub(crate) action: &'static str,
    /// For example `SECRETS`.
    pub(crate) module: &'static str,
    /// What the action was about, as an object. Never a secret's value.
    pub(crate) details: Value,
    /// The client's address.
    pub(crate) client: Option<IpAddr>,
}

/// Writes one entry.
pub(crate) async fn record(executor: impl PgExecutor<'_>, entry: Entry<'_>) -> sqlx::Result<()> {
    sqlx::query(
        "insert into system.audit_logs (actor, action, module, details, ip_address)
         values ($1, $2, $3, $4, $5::inet)",
    )
    .bind(entry.actor)
    .bind(entry.action)
    .bind(entry.module)
    .bind(entry.details)
    .bind(entry.client.map(|address| address.to_string()))
    .execute(executor)
    .await?;
    Ok(())
}

/// An entry as it is shown.
#[derive(Debug, FromRow, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ShownEntry {
    id: Uuid,
    actor: String,
    action: String,
    module: String,
    details: Option<Value>,
    ip_address: Option<String>,
    created_at: Timestamp,
    updated_at: Timestamp,
}

/// Which entries are wanted; what is `None` does not narrow.
#[derive(Debug, Default)]
pub(super) struct Filter {
    pub(super) actor: Option<String>,
    pub(super) action: Option<String>,
    pub(super) module: Option<String>,
    pub(super) from: Option<OffsetDateTime>,
    pub(super) until: Option<OffsetDateTime>,
}

pub(super) async fn count(pool: &PgPool, filter: &Filter) -> sqlx::Result<i64> {
    sqlx::query_scalar(
        "select count(*) from system.audit_logs
         where ($1::text is null or actor = $1) and ($2::text is null or action = $2)
           and ($3::text is null or module = $3)
           and ($4::timestamptz is null or created_at >= $4)
           and ($5::timestamptz is null or created_at <= $5)",
    )
    .bind(&filter.actor)
    .bind(&filter.action)
    .bind(&filter.module)
    .bind(filter.from)
    .bind(filter.until)
    .fetch_one(pool)
    .await
}

/// Newest first.
pub(super) async fn list(
    pool: &PgPool,
    filter: &Filter,
    limit: i64,
    offset: i64,
) -> sqlx::Result<Vec<ShownEntry>> {
    sqlx::query_as(
        "select id, actor, action, module, details, host(ip_address) as ip_address,
                created_at, updated_at
         from system.audit_logs
         where ($1::text is null or actor = $1) and ($2::text is null or action = $2)
           and ($3::text is null or module = $3)
           and ($4::timestamptz is null or created_at >= $4)
           and ($5::timestamptz is null or created_at <= $5)
         order by created_at desc, id
         limit $6 offset $7",
    )
    .bind(&filter.actor)
    .bind(&filter.action)
    .bind(&filter.module)
    .bind(filter.from)
    .bind(filter.until)
    .bind(limit)
    .bind(offset)
    .fetch_all(pool)
    .await
}

/// Numbers over the last `days`.
#[derive(Debug)]
pub(super) struct Numbers {
    pub(super) total: i64,
    pub(super) actors: i64,
    pub(super) by_module: Vec<(String, i64)>,
    pub(super) recent: Vec<ShownEntry>,
}

pub(super) async fn numbers(pool: &PgPool, since: OffsetDateTime) -> sqlx::Result<Numbers> {
    let (total, actors) = sqlx::query_as(
        "select count(*), count(distinct actor) from system.audit_logs where created_at >= $1",
    )
    .bind(since)
    .fetch_one(pool)
    .await?;
    let by_module = sqlx::query_as(
        "select module, count(*) from system.audit_logs where created_at >= $1
         group by module order by module",
    )
    .bind(since)
    .fetch_all(pool)
    .await?;
    let recent = Filter {
        from: Some(since),
        ..Filter::default()
    };
    Ok(Numbers {
        total,
        actors,
        by_module,
        recent: list(pool, &recent, RECENT_ENTRIES, 0).await?,
    })
}

/// Removes entries from before `end` and says how many there were.
pub(super) async fn remove_before(pool: &PgPool, end: OffsetDateTime) -> sqlx::Result<u64> {
    let done = sqlx::query("delete from system.audit_logs where created_at < $1")
        .bind(end)
        .execute(pool)
        .await?;
    Ok(done.rows_affected())
}
