//! The one statement that writes sums.

use sqlx::PgPool;
use uuid::Uuid;

/// Adds to the audiences of many messages at once. Rows that were deleted meanwhile are left out.
/// Nobody waits for the disk: a crash of PostgreSQL may take the last moment's statistics.
pub(super) async fn add_audience(pool: &PgPool, sums: &[(Uuid, i32)]) -> Result<(), sqlx::Error> {
    let (ids, counts): (Vec<Uuid>, Vec<i32>) = sums.iter().copied().unzip();
    sqlx::query(
        "with unhurried as materialized (
            select set_config('synchronous_commit', 'off', true)
        )
        update realtime.messages as m
        set ws_audience_count = m.ws_audience_count + counted.sockets
        from unnest($1::uuid[], $2::int[]) as counted (id, sockets)
        where m.id = counted.id and exists (select from unhurried)",
    )
    .bind(ids)
    .bind(counts)
    .execute(pool)
    .await?;
    Ok(())
}
