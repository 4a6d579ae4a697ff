//! How services wait for the schema they were built against.

use std::time::Duration;

use sqlx::PgPool;

use crate::SchemaError;
use crate::ledger::{self, pending, require_none_pending};
use crate::step::{STEPS, latest_version};

const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Whether the database has every step of this build, as one reads it with any login of the
/// project that may read `system` (the service login). A newer database is fine: during a rolling
/// upgrade the old services run on it, and steps stay compatible with the release before.
///
/// # Errors
/// What is missing or different, or no answer from PostgreSQL.
pub async fn check_current(pool: &PgPool) -> Result<(), SchemaError> {
    let mut connection = pool.acquire().await?;
    let mut applied = ledger::read(&mut connection).await?;
    applied.retain(|row| row.number <= latest_version());
    let pending = pending(&applied, STEPS)?;
    require_none_pending(&applied, pending)
}

/// Returns once [`check_current`] is content, however long that takes: while the database is
/// down, the login does not exist yet or steps are missing, it tries again with growing pauses up
/// to five seconds. Race it against the shutdown token.
pub async fn wait_until_current(pool: &PgPool) {
    let mut pause = FIRST_PAUSE;
    while let Err(error) = check_current(pool).await {
        tracing::warn!(%error, "waiting for the database schema");
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}
