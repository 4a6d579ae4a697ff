//! The rows of `realtime.webhook_deliveries`.

use std::time::Duration;

use sqlx::{FromRow, PgPool};
use uuid::Uuid;

/// A delivery that this process, and nobody else, is to attempt now.
#[derive(Debug, FromRow)]
pub(super) struct Claimed {
    pub(super) id: Uuid,
    pub(super) url: String,
    /// Attempts, this one included.
    pub(super) attempts: i32,
    pub(super) message_id: Uuid,
    pub(super) event: String,
    pub(super) channel: String,
    /// JSON text.
    pub(super) payload: String,
}

/// Claims the first delivery of each address, where it is due. Who is behind it waits, so that an
/// address gets its messages in order; who died with a claim loses it after `lease`.
pub(super) async fn claim(
    pool: &PgPool,
    limit: i64,
    lease: Duration,
) -> Result<Vec<Claimed>, sqlx::Error> {
    sqlx::query_as(
        "with recursive heads as (
            (
                select d.id, d.target
                from realtime.webhook_deliveries as d
                where d.failed_at is null
                order by d.target, d.sequence
                limit 1
            )
            union all
            select next.id, next.target
            from heads as h
            cross join lateral (
                select d.id, d.target
                from realtime.webhook_deliveries as d
                where d.failed_at is null and d.target > h.target
                order by d.target, d.sequence
                limit 1
            ) as next
        ), due as (
            select d.id
            from realtime.webhook_deliveries as d
            join heads as h on h.id = d.id
            where d.next_attempt_at <= clock_timestamp()
                and (d.claimed_until is null or d.claimed_until < clock_timestamp())
            limit $1
            for update of d skip locked
        )
        update realtime.webhook_deliveries as d
        set claimed_until = clock_timestamp() + make_interval(secs => $2),
            attempts = d.attempts + 1
        from due, realtime.messages as m
        where d.id = due.id and m.id = d.message_id
        returning
            d.id,
            d.url,
            d.attempts,
            d.message_id,
            m.event_name as event,
            m.channel_name as channel,
            m.payload::text as payload",
    )
    .bind(limit)
    .bind(lease.as_secs_f64())
    .fetch_all(pool)
    .await
}

/// It was delivered.
pub(super) async fn delivered(pool: &PgPool, id: Uuid) -> Result<(), sqlx::Error> {
    sqlx::query(
        "with done as (
            delete from realtime.webhook_deliveries where id = $1
            returning message_id, counted
        )
        update realtime.messages as m
        set wh_audience_count = m.wh_audience_count + (not done.counted)::int,
            wh_delivered_count = m.wh_delivered_count + 1
        from done
        where m.id = done.message_id",
    )
    .bind(id)
    .execute(pool)
    .await?;
    Ok(())
}

/// It is attempted again after `pause`.
pub(super) async fn wait(
    pool: &PgPool,
    id: Uuid,
    pause: Duration,
    error: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "update realtime.webhook_deliveries
        set claimed_until = null,
            next_attempt_at = clock_timestamp() + make_interval(secs => $2),
            error = $3
        where id = $1",
    )
    .bind(id)
    .bind(pause.as_secs_f64())
    .bind(error)
    .execute(pool)
    .await?;
    Ok(())
}

/// It is not attempted again unless somebody asks for it.
pub(super) async fn failed(
    pool: &PgPool,
    id: Uuid,
    status: Option<u16>,
    error: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "with failed as (
            update realtime.webhook_deliveries as d
            set claimed_until = null,
                failed_at = clock_timestamp(),
                status = $2,
                error = $3,
                counted = true
            from realtime.webhook_deliveries as before
            where d.id = $1 and before.id = d.id
            returning d.message_id, before.counted
        )
        update realtime.messages as m
        set wh_audience_count = m.wh_audience_count + 1
        from failed
        where m.id = failed.message_id and not failed.counted",
    )
    .bind(id)
    .bind(status.map(i32::from))
    .bind(error)
    .execute(pool)
    .await?;
    Ok(())
}
