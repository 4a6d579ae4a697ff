//! The relay's SQL, all on the listening connection: as `ingot_service`, which sees every row.
//!
//! Snapshots travel as text. "Seen by a snapshot" means that the transaction had committed when
//! the snapshot was taken; unlike times and ids this does not depend on the order of inserts.

use sqlx::postgres::{PgListener, PgRow};
use sqlx::{Executor, FromRow, Row};
use uuid::Uuid;

use super::log::BEAT;

/// First key of the active relay's lock ("rela" in ASCII), the second is the number of its term.
/// Advisory locks belong to one database.
pub const LOCK: i32 = 0x72_65_6c_61;

/// What the connection calls itself while it follows notifications, and while it looks for messages
/// that it missed: that one statement may take long when there are many.
pub(super) const FOLLOWING: &str = "ingot-listen-relay";
const CATCHING_UP: &str = "ingot-listen-relay catching up";

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
    /// Its channel has webhooks.
    pub(super) has_webhooks: bool,
}

/// Takes the lock of the next term if nobody leads or, where `silent` says that whoever leads is not
/// heard, of the term after his; he is cut off then. Returns its number; `None` if somebody else
/// leads. Who is not heard because he looks for missed messages does lead, for a minute.
///
/// Only services lead: a session of the project that has taken the lock, as any session may, is
/// ended.
pub(super) async fn begin_term(
    listener: &mut PgListener,
    silent: bool,
) -> Result<Option<i32>, sqlx::Error> {
    let leading: Option<(i32, i32, bool)> = sqlx::query_as(
        "select
            l.objid::bigint::int,
            l.pid,
            coalesce(
                a.application_name = $2
                and a.state = 'active'
                and a.query_start > clock_timestamp() - interval '1 min',
                false
            )
        from pg_locks as l
        join pg_stat_activity as a on a.pid = l.pid and a.usename = session_user
        where l.locktype = 'advisory'
            and l.objsubid = 2
            and l.granted
            and l.database = (select oid from pg_database where datname = current_database())
            and l.classid = $1::oid
        order by l.objid desc
        limit 1",
    )
    .bind(LOCK)
    .bind(CATCHING_UP)
    .fetch_optional(&mut *listener)
    .await?;
    let term = match leading {
        Some((_, _, busy)) if busy || !silent => return Ok(None),
        Some((leading, ..)) => leading.wrapping_add(1).max(0),
        None => 0,
    };
    let locked: bool = sqlx::query_scalar("select pg_try_advisory_lock($1, $2)")
        .bind(LOCK)
        .bind(term)
        .fetch_one(&mut *listener)
        .await?;
    match (locked, leading) {
        (true, Some((_, pid, _))) => {
            let end = sqlx::query("select system.end_session($1)").bind(pid);
            listener.execute(end).await?;
        }
        (true, None) => {}
        (false, _) => end_foreigners(listener).await?,
    }
    Ok(locked.then_some(term))
}

/// Ends sessions of the project that hold or await a lock which is the relays' alone: it is free
/// for the next attempt then.
async fn end_foreigners(listener: &mut PgListener) -> Result<(), sqlx::Error> {
    let end = sqlx::query(
        "select system.end_session(l.pid)
        from pg_locks as l
        join pg_stat_activity as a on a.pid = l.pid and a.usename <> session_user
        where l.locktype = 'advisory'
            and l.objsubid = 2
            and l.database = (select oid from pg_database where datname = current_database())
            and l.classid = $1::oid",
    );
    listener.execute(end.bind(LOCK)).await?;
    Ok(())
}

/// What a heartbeat found.
#[derive(Debug, FromRow)]
pub(super) struct Beat {
    /// What was committed before it.
    pub(super) snapshot: String,
    /// No later term has begun.
    pub(super) is_current: bool,
    /// Every message that the snapshot sees was announced by a notification, unless a relay looked
    /// for it anyway.
    pub(super) is_announced: bool,
}

/// Notifies ourselves and the standbys, and where `logged` says so, writes the token to the log.
pub(super) async fn beat(
    listener: &mut PgListener,
    channel: &str,
    token: &str,
    term: i32,
    logged: bool,
) -> Result<Beat, sqlx::Error> {
    sqlx::query_as(
        "select
            pg_current_snapshot()::text as snapshot,
            not exists (
                select
                from pg_locks as l
                join pg_stat_activity as a on a.pid = l.pid and a.usename = session_user
                where l.locktype = 'advisory'
                    and l.objsubid = 2
                    and l.granted
                    and l.database = (select oid from pg_database where datname = current_database())
                    and l.classid = $3::oid
                    and l.objid::bigint > $4
            ) as is_current,
            exists (
                select from pg_trigger
                where tgrelid = 'realtime.messages'::regclass
                    and tgname = 'trg_message_notify' and tgenabled <> 'D'
            ) as is_announced,
            case when $5 then pg_logical_emit_message(false, $6, $2)::text end as logged
        from pg_notify($1, $2)",
    )
    .bind(channel)
    .bind(token)
    .bind(LOCK)
    .bind(i64::from(term))
    .bind(logged)
    .bind(BEAT)
    .fetch_one(listener)
    .await
}

/// How much of the log PostgreSQL keeps for a slot, and how much more it would keep, in bytes; the
/// latter is `None` where nothing limits it. `None` if the slot is gone.
pub(super) async fn kept_log(
    listener: &mut PgListener,
    slot: &str,
) -> Result<Option<(f64, Option<f64>)>, sqlx::Error> {
    sqlx::query_as(
        "select
            coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn), 0)::float8,
            safe_wal_size::float8
        from pg_replication_slots
        where slot_name = $1",
    )
    .bind(slot)
    .fetch_optional(listener)
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
    name(&mut *listener, CATCHING_UP).await?;
    let missed = sqlx::query_as(
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
    .fetch_all(&mut *listener)
    .await?;
    name(listener, FOLLOWING).await?;
    Ok(missed)
}

/// The number of a transaction of our own: all that run by now have lower ones.
pub(super) async fn next_transaction(listener: &mut PgListener) -> Result<u64, sqlx::Error> {
    let next: i64 = sqlx::query_scalar("select pg_current_xact_id()::text::bigint")
        .fetch_one(listener)
        .await?;
    Ok(next.unsigned_abs())
}

/// The oldest transaction that a snapshot does not know to have ended; `None` for what is no
/// snapshot.
pub(super) fn oldest_unended(snapshot: &str) -> Option<u64> {
    snapshot.split(':').next()?.parse().ok()
}

/// Whether everybody sees what these transactions did. They are known by the lower halves of their
/// numbers, which are closer to the next number than half of all.
pub(super) async fn are_seen(
    listener: &mut PgListener,
    transactions: &[i64],
) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(
        "select coalesce(bool_and(pg_visible_in_snapshot(
            (next + 2147483648 - ((next + 2147483648 - low) & 4294967295))::text::xid8,
            snapshot
        )), true)
        from unnest($1::bigint[]) as low
        cross join (
            select snapshot, pg_snapshot_xmax(snapshot)::text::bigint as next
            from (select pg_current_snapshot() as snapshot) as now
        ) as now",
    )
    .bind(transactions)
    .fetch_one(listener)
    .await
}

async fn name(listener: &mut PgListener, name: &str) -> Result<(), sqlx::Error> {
    let set = sqlx::query("select set_config('application_name', $1, false)").bind(name);
    listener.execute(set).await?;
    Ok(())
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
            extract(epoch from clock_timestamp() - m.created_at)::float8,
            coalesce(cardinality(c.webhook_urls) > 0, false)
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
            has_webhooks: row.try_get(8)?,
        })
    })
    .fetch_all(listener)
    .await
}
