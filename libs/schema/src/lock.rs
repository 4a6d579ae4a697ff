//! One runner at a time, over any number of replicas.

use std::time::{Duration, Instant};

use sqlx::{PgConnection, query, query_scalar};

use crate::SchemaError;

/// Advisory lock of migration runners. The InsForge server's runner tries the same key and gives
/// up when it is taken, so the two never work on one database together.
const LOCK_KEY: i64 = 7_241_865_325_823_964;

/// How long [`crate::migrate`] and [`crate::prepare_logins`] wait for another runner.
pub const LOCK_WAIT: Duration = Duration::from_mins(5);

/// Pause between two tries.
const POLL: Duration = Duration::from_millis(250);

/// The advisory lock of this database, held by a session. Advisory locks belong to the server's
/// session: connect to PostgreSQL itself and not through a pooler in transaction mode.
///
/// It is free again after [`RunnerLock::release`], and at the latest when the connection closes.
#[derive(Debug)]
pub struct RunnerLock<'c> {
    /// The session that holds the lock; all work under the lock goes through it.
    pub connection: &'c mut PgConnection,
}

impl<'c> RunnerLock<'c> {
    /// Waits for the lock, `patience` at most.
    pub async fn acquire(
        connection: &'c mut PgConnection,
        patience: Duration,
    ) -> Result<Self, SchemaError> {
        let started = Instant::now();
        // Polling, and not a blocking call: a session that waits inside a statement holds a
        // snapshot for as long, which keeps VACUUM from cleaning up behind the running migration.
        while !try_lock(connection).await? {
            if started.elapsed() >= patience {
                return Err(SchemaError::Busy {
                    waited: started.elapsed(),
                });
            }
            end_foreigners(connection).await;
            tokio::time::sleep(POLL).await;
        }
        Ok(Self { connection })
    }

    /// Frees the lock.
    pub async fn release(self) -> Result<(), SchemaError> {
        query("select pg_advisory_unlock($1)")
            .bind(LOCK_KEY)
            .execute(self.connection)
            .await?;
        Ok(())
    }
}

/// Ends sessions that hold the lock, or wait for it, and have no business there: any role may take an
/// advisory lock, so code of a project could keep every runner away. Runners connect as the owner
/// or as somebody who may act as he.
async fn end_foreigners(connection: &mut PgConnection) {
    let ended = query(
        "select pg_catalog.pg_terminate_backend(l.pid)
         from pg_catalog.pg_locks as l
         join pg_catalog.pg_stat_activity as a on a.pid = l.pid
         where l.locktype = 'advisory' and l.objsubid = 1
           and l.database =
               (select oid from pg_catalog.pg_database where datname = pg_catalog.current_database())
           and (l.classid::bigint << 32) | l.objid::bigint = $1
           and not pg_catalog.pg_has_role(a.usesysid, current_user, 'MEMBER')",
    );
    // An owner who is no superuser may lack the right: then there is nothing but waiting.
    if let Err(error) = ended.bind(LOCK_KEY).execute(connection).await {
        tracing::debug!(%error, "a session that holds the runners' lock cannot be ended");
    }
}

async fn try_lock(connection: &mut PgConnection) -> Result<bool, SchemaError> {
    Ok(query_scalar("select pg_try_advisory_lock($1)")
        .bind(LOCK_KEY)
        .fetch_one(connection)
        .await?)
}
