//! The relay's SQL, all on the listening connection: as `ingot_service`, which sees every row.
//!
//! Snapshots travel as text. "Seen by a snapshot" means that the transaction had committed when
//! the snapshot was taken; unlike times and ids this does not depend on the order of inserts.

use sqlx::postgres::{PgListener, PgRow};
use sqlx::{Executor, Row};
use uuid::Uuid;

/// Key of the active relay's lock ("relay" in ASCII); advisory locks belong to one database.
const LOCK: i64 = 0x72_65_6c_61_79;

/// A row of `realtime.messages` whose channel is enabled.
#[derive(Debug)]
pub(super) struct MessageRow {
    pub(super) id: Uuid,
    pub(super) event: String,
    pub(super) channel: String,
    /// JSON text; `None` when it is too long for the bus.
    pub(super) payload: Option<String>,
    pub(super) sender_type: String,
    pub(super) sender_id: Option<Uuid>,
    pub(super) traceparent: Option<String>,
    /// Seconds since the publishing transaction began.
    pub(super) age: f64,
}

pub(super) async fn try_lock(listener: &mut PgListener) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("select pg_try_advisory_lock($1)")
        .bind(LOCK)
        .fetch_one(listener)
        .await
}

/// Notifies ourselves; returns the snapshot from before.
pub(super) async fn beat(
    listener: &mut PgListener,
    channel: &str,
    token: &str,
) -> Result<String, sqlx::Error> {
    sqlx::query_scalar("select pg_current_snapshot()::text from pg_notify($1, $2)")
        .bind(channel)
        .bind(token)
        .fetch_one(listener)
        .await
}

/// The snapshot up to which everything is on the bus, and one taken now. A stored one from the
/// future comes from another cluster, by way of a dump: it says nothing here.
pub(super) async fn delivered_and_now(
    listener: &mut PgListener,
) -> Result<(String, String), sqlx::Error> {
    let row = sqlx::query(
        "select
            case
                when pg_snapshot_xmax(r.delivered) <= pg_snapshot_xmax(now.snapshot)
                then r.delivered
                else now.snapshot
            end::text,
            now.snapshot::text
        from (select pg_current_snapshot() as snapshot) as now
        left join realtime.relay as r on true",
    )
    .fetch_one(listener)
    .await?;
    let now: String = row.try_get(1)?;
    Ok((row.try_get(0).unwrap_or_else(|_| now.clone()), now))
}

/// Notes that everything `snapshot` sees is on the bus; never goes back.
pub(super) async fn save_delivered(
    listener: &mut PgListener,
    snapshot: &str,
) -> Result<(), sqlx::Error> {
    let save = sqlx::query(
        "insert into realtime.relay as r (delivered) values ($1::pg_snapshot)
        on conflict (singleton) do update
        set delivered = excluded.delivered, updated_at = now()
        where pg_snapshot_xmin(r.delivered) <= pg_snapshot_xmin(excluded.delivered)
            or pg_snapshot_xmax(r.delivered) > pg_snapshot_xmax(pg_current_snapshot())",
    )
    .bind(snapshot);
    listener.execute(save).await?;
    Ok(())
}

/// Ids of messages that `upto` sees and `from` does not, in the order of their sequence, after
/// `after`. Commit times decide between transactions where PostgreSQL keeps them.
pub(super) async fn missed(
    listener: &mut PgListener,
    from: &str,
    upto: &str,
    after: i64,
    limit: i64,
) -> Result<Vec<(Uuid, i64)>, sqlx::Error> {
    sqlx::query_as(
        "select id, sequence
        from (
            select m.id, m.sequence, m.xid
            from realtime.messages as m
            where m.xid >= pg_snapshot_xmin($1::pg_snapshot)
                and not pg_visible_in_snapshot(m.xid, $1::pg_snapshot)
                and pg_visible_in_snapshot(m.xid, $2::pg_snapshot)
                and m.sequence > $3
            order by m.sequence
            limit $4
        ) as missed
        order by
            case
                when current_setting('track_commit_timestamp')::boolean
                then pg_xact_commit_timestamp(xid::xid)
            end,
            sequence",
    )
    .bind(from)
    .bind(upto)
    .bind(after)
    .bind(limit)
    .fetch_all(listener)
    .await
}

/// The messages of `ids` in the order of `ids`, without those that `delivered` sees, whose channel
/// is gone or disabled, or that were deleted.
pub(super) async fn messages(
    listener: &mut PgListener,
    ids: &[Uuid],
    delivered: &str,
    longest_payload: i32,
) -> Result<Vec<MessageRow>, sqlx::Error> {
    sqlx::query(
        "select
            m.id,
            m.event_name,
            m.channel_name,
            case when octet_length(p.text) <= $3 then p.text end,
            m.sender_type,
            m.sender_id,
            left(m.traceparent, 64),
            extract(epoch from clock_timestamp() - m.created_at)::float8
        from unnest($1::uuid[]) with ordinality as wanted (id, place)
        join realtime.messages as m on m.id = wanted.id
        join realtime.channels as c on c.id = m.channel_id and c.enabled
        cross join lateral (select m.payload::text as text) as p
        where not pg_visible_in_snapshot(m.xid, $2::pg_snapshot)
        order by wanted.place",
    )
    .bind(ids)
    .bind(delivered)
    .bind(longest_payload)
    .try_map(|row: PgRow| {
        Ok(MessageRow {
            id: row.try_get(0)?,
            event: row.try_get(1)?,
            channel: row.try_get(2)?,
            payload: row.try_get(3)?,
            sender_type: row.try_get(4)?,
            sender_id: row.try_get(5)?,
            traceparent: row.try_get(6)?,
            age: row.try_get::<Option<f64>, _>(7)?.unwrap_or(0.0),
        })
    })
    .fetch_all(listener)
    .await
}
