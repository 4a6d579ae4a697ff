//! The one statement that deletes.

use sqlx::PgPool;

/// Deletes the `limit` oldest messages that are past the project's retention, if it has one, and
/// returns how many there were. A transaction of its own: a long one would keep the relay from
/// noting how far it is.
pub(super) async fn delete_expired(pool: &PgPool, limit: i64) -> Result<u64, sqlx::Error> {
    let deleted = sqlx::query(
        "delete from realtime.messages
        where id in (
            select m.id
            from realtime.messages as m
            cross join realtime.config as c
            where c.retention_days > 0
                and m.created_at < now() - make_interval(days => c.retention_days)
            order by m.created_at
            limit $1
        )",
    )
    .bind(limit)
    .execute(pool)
    .await?;
    Ok(deleted.rows_affected())
}
