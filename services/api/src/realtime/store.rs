//! `realtime.*`, as the services' own role.

use ingot_http::Timestamp;
use serde::{Serialize, Serializer};
use serde_json::Value;
use sqlx::{FromRow, PgPool};
use time::OffsetDateTime;
use uuid::Uuid;

use super::channel::ChannelInput;
use super::service::{MessageQuery, StatsQuery};

/// Messages that are removed by one statement.
const BATCH: i64 = 1_000;

/// Most event names in the statistics.
const TOP_EVENTS: i64 = 10;

/// A channel as it is shown.
#[derive(Debug, Serialize, FromRow)]
#[serde(rename_all = "camelCase")]
pub(super) struct Channel {
    id: Uuid,
    pattern: String,
    description: Option<String>,
    webhook_urls: Option<Vec<String>>,
    enabled: bool,
    #[serde(serialize_with = "shown_time")]
    created_at: Option<OffsetDateTime>,
    #[serde(serialize_with = "shown_time")]
    updated_at: Option<OffsetDateTime>,
}

#[allow(clippy::ref_option, reason = "the signature is serde's")]
fn shown_time<S: Serializer>(
    time: &Option<OffsetDateTime>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    time.map(Timestamp).serialize(serializer)
}

/// Newest first.
pub(super) async fn channels(pool: &PgPool) -> sqlx::Result<Vec<Channel>> {
    sqlx::query_as(
        "select id, pattern, description, webhook_urls, enabled, created_at, updated_at
         from realtime.channels order by created_at desc, id",
    )
    .fetch_all(pool)
    .await
}

pub(super) async fn channel(pool: &PgPool, id: Uuid) -> sqlx::Result<Option<Channel>> {
    sqlx::query_as(
        "select id, pattern, description, webhook_urls, enabled, created_at, updated_at
         from realtime.channels where id = $1",
    )
    .bind(id)
    .fetch_optional(pool)
    .await
}

pub(super) async fn insert(pool: &PgPool, input: &ChannelInput) -> sqlx::Result<Channel> {
    sqlx::query_as(
        "insert into realtime.channels (pattern, description, webhook_urls, enabled)
         values ($1, nullif($2, ''), $3, coalesce($4, true))
         returning id, pattern, description, webhook_urls, enabled, created_at, updated_at",
    )
    .bind(&input.pattern)
    .bind(&input.description)
    .bind(&input.webhook_urls)
    .bind(input.enabled)
    .fetch_one(pool)
    .await
}

/// What was not given stays as it is.
pub(super) async fn update(
    pool: &PgPool,
    id: Uuid,
    input: &ChannelInput,
) -> sqlx::Result<Option<Channel>> {
    sqlx::query_as(
        "update realtime.channels set
             pattern = coalesce($2, pattern),
             description = case when $3::text is null then description else nullif($3, '') end,
             webhook_urls = coalesce($4, webhook_urls),
             enabled = coalesce($5, enabled),
             updated_at = now()
         where id = $1
         returning id, pattern, description, webhook_urls, enabled, created_at, updated_at",
    )
    .bind(id)
    .bind(&input.pattern)
    .bind(&input.description)
    .bind(&input.webhook_urls)
    .bind(input.enabled)
    .fetch_optional(pool)
    .await
}

pub(super) async fn remove(pool: &PgPool, id: Uuid) -> sqlx::Result<bool> {
    let done = sqlx::query("delete from realtime.channels where id = $1")
        .bind(id)
        .execute(pool)
        .await?;
    Ok(done.rows_affected() > 0)
}

/// A message as it is shown.
#[derive(Debug, Serialize, FromRow)]
#[serde(rename_all = "camelCase")]
pub(super) struct Message {
    id: Uuid,
    event_name: String,
    channel_id: Option<Uuid>,
    channel_name: String,
    payload: Value,
    sender_type: String,
    sender_id: Option<Uuid>,
    ws_audience_count: i32,
    wh_audience_count: i32,
    wh_delivered_count: i32,
    #[serde(serialize_with = "shown_time")]
    created_at: Option<OffsetDateTime>,
}

/// Newest first.
pub(super) async fn messages(pool: &PgPool, query: &MessageQuery) -> sqlx::Result<Vec<Message>> {
    sqlx::query_as(
        "select id, event_name, channel_id, channel_name, payload, sender_type, sender_id,
                ws_audience_count, wh_audience_count, wh_delivered_count, created_at
         from realtime.messages
         where ($1::uuid is null or channel_id = $1) and ($2::text is null or event_name = $2)
         order by created_at desc, id
         limit $3 offset $4",
    )
    .bind(query.channel)
    .bind(&query.event)
    .bind(query.limit)
    .bind(query.offset)
    .fetch_all(pool)
    .await
}

pub(super) async fn now(pool: &PgPool) -> sqlx::Result<OffsetDateTime> {
    sqlx::query_scalar("select now()").fetch_one(pool).await
}

/// Removes a batch of the oldest messages up to `until`; returns how many there were.
pub(super) async fn remove_messages(pool: &PgPool, until: OffsetDateTime) -> sqlx::Result<u64> {
    let done = sqlx::query(
        "delete from realtime.messages where id in (
             select id from realtime.messages where created_at <= $1
             order by created_at limit $2)",
    )
    .bind(until)
    .bind(BATCH)
    .execute(pool)
    .await?;
    Ok(done.rows_affected())
}

/// Statistics as they are shown.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Stats {
    total_messages: i64,
    wh_delivery_rate: f64,
    top_events: Vec<EventCount>,
    retention_days: Option<i32>,
}

#[derive(Debug, Serialize, FromRow)]
#[serde(rename_all = "camelCase")]
struct EventCount {
    event_name: String,
    count: i64,
}

pub(super) async fn stats(pool: &PgPool, query: &StatsQuery) -> sqlx::Result<Stats> {
    let (total_messages, wh_delivery_rate) = sqlx::query_as(
        "select count(*),
                coalesce(sum(wh_delivered_count)::float8 / nullif(sum(wh_audience_count), 0), 0)
         from realtime.messages
         where ($1::uuid is null or channel_id = $1)
           and ($2::timestamptz is null or created_at >= $2)",
    )
    .bind(query.channel)
    .bind(query.since)
    .fetch_one(pool)
    .await?;
    let top_events = sqlx::query_as(
        "select event_name, count(*) as count from realtime.messages
         where ($1::uuid is null or channel_id = $1)
           and ($2::timestamptz is null or created_at >= $2)
         group by event_name order by count(*) desc, event_name limit $3",
    )
    .bind(query.channel)
    .bind(query.since)
    .bind(TOP_EVENTS)
    .fetch_all(pool)
    .await?;
    Ok(Stats {
        total_messages,
        wh_delivery_rate,
        top_events,
        retention_days: retention(pool).await?,
    })
}

/// Who may subscribe and publish: the policies of the two tables.
#[derive(Debug, Serialize)]
pub(super) struct Permissions {
    subscribe: Policies,
    publish: Policies,
}

#[derive(Debug, Serialize)]
struct Policies {
    policies: Vec<Policy>,
}

#[allow(clippy::struct_field_names, reason = "the names are those of the wire")]
#[derive(Debug, Serialize, FromRow)]
#[serde(rename_all = "camelCase")]
struct Policy {
    policy_name: String,
    table_name: String,
    command: String,
    roles: Vec<String>,
    using: Option<String>,
    with_check: Option<String>,
}

pub(super) async fn permissions(pool: &PgPool) -> sqlx::Result<Permissions> {
    Ok(Permissions {
        subscribe: policies(pool, "channels").await?,
        publish: policies(pool, "messages").await?,
    })
}

async fn policies(pool: &PgPool, table: &str) -> sqlx::Result<Policies> {
    let policies = sqlx::query_as(
        "select policyname::text as policy_name, tablename::text as table_name, cmd as command,
                roles::text[] as roles, qual as using, with_check
         from pg_catalog.pg_policies
         where schemaname = 'realtime' and tablename = $1
           and policyname <> 'project_admin_policy'
         order by policyname",
    )
    .bind(table)
    .fetch_all(pool)
    .await?;
    Ok(Policies { policies })
}

pub(super) async fn retention(pool: &PgPool) -> sqlx::Result<Option<i32>> {
    let days: Option<Option<i32>> =
        sqlx::query_scalar("select retention_days from realtime.config")
            .fetch_optional(pool)
            .await?;
    Ok(days.flatten())
}

pub(super) async fn set_retention(pool: &PgPool, days: Option<i32>) -> sqlx::Result<()> {
    sqlx::query("update realtime.config set retention_days = $1")
        .bind(days)
        .execute(pool)
        .await?;
    Ok(())
}
