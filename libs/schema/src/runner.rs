//! Applies pending steps.

use std::time::Duration;

use sqlx::{Connection, PgConnection, raw_sql};

use crate::lock::LOCK_WAIT;
use crate::step::{Step, latest_version};
use crate::{RunnerLock, SchemaError, ledger};

/// Runs before every step, inside its transaction: nothing resolves by accident to an object of
/// the project, and a step that cannot get a lock gives up instead of queueing everybody behind it.
/// From PostgreSQL 16 on, an owner who is no superuser may act as the roles that he creates only if
/// he asks for it first; earlier versions do not know the setting.
const STEP_SETTINGS: &str = "do $$
    begin
        if current_setting('server_version_num')::int >= 160000 then
            perform set_config('createrole_self_grant', 'set, inherit', true);
        end if;
    end
    $$;
    set local search_path = '';
    set local lock_timeout = '10s';
    set local statement_timeout = 0;
    set local idle_in_transaction_session_timeout = 0;
    set local check_function_bodies = on";

/// How often a step is tried when it collides with another database's run over the cluster's
/// roles, or with a client's transaction.
const ATTEMPTS: u32 = 5;

/// Brings the database to the state of this build and returns the steps that it applied. The
/// connection is the owner's. While another runner works on the database this one waits for it,
/// up to [`LOCK_WAIT`].
///
/// # Errors
/// Nothing is applied when the ledger does not fit this build. When a step fails, it is rolled
/// back, the steps before it stay, and the next run continues there.
pub async fn migrate(owner: &mut PgConnection) -> Result<Vec<Step>, SchemaError> {
    migrate_to(owner, latest_version()).await
}

/// As [`migrate`], but stops after the step with this number. A fleet can be taken through a long
/// upgrade in stages with it.
pub async fn migrate_to(owner: &mut PgConnection, last: u32) -> Result<Vec<Step>, SchemaError> {
    let lock = RunnerLock::acquire(owner, LOCK_WAIT).await?;
    let applied = apply_pending(lock.connection, last).await;
    // After a failure the connection may be gone, and the lock with it.
    let released = lock.release().await;
    let applied = applied?;
    released?;
    Ok(applied)
}

async fn apply_pending(owner: &mut PgConnection, last: u32) -> Result<Vec<Step>, SchemaError> {
    ledger::create_if_missing(owner).await?;
    let pending = ledger::status(owner).await?.pending;
    let mut applied = Vec::new();
    for step in pending.iter().filter(|step| step.number <= last) {
        apply(owner, step).await?;
        tracing::info!(step = step.number, name = step.name, "schema step applied");
        applied.push(*step);
    }
    Ok(applied)
}

async fn apply(owner: &mut PgConnection, step: &Step) -> Result<(), SchemaError> {
    let mut attempt = 1;
    loop {
        match try_apply(owner, step).await {
            Ok(()) => return Ok(()),
            Err(error) if attempt < ATTEMPTS && is_collision(&error) => {
                tracing::warn!(step = step.number, %error, "schema step collided, trying again");
                tokio::time::sleep(Duration::from_millis(200) * attempt).await;
                attempt += 1;
            }
            Err(source) => {
                return Err(SchemaError::StepFailed {
                    number: step.number,
                    name: step.name.to_owned(),
                    source,
                });
            }
        }
    }
}

async fn try_apply(owner: &mut PgConnection, step: &Step) -> Result<(), sqlx::Error> {
    let mut transaction = owner.begin().await?;
    raw_sql(STEP_SETTINGS).execute(&mut *transaction).await?;
    raw_sql(step.sql).execute(&mut *transaction).await?;
    ledger::record_step(&mut transaction, step).await?;
    transaction.commit().await
}

/// Serialisation failures, deadlocks, lock timeouts, and two sessions that altered one row of a
/// catalogue (for which PostgreSQL has no code of its own but `internal_error`).
fn is_collision(error: &sqlx::Error) -> bool {
    let Some(error) = error.as_database_error() else {
        return false;
    };
    match error.code().as_deref() {
        Some("40001" | "40P01" | "55P03") => true,
        Some("XX000") => error.message().contains("concurrently"),
        _ => false,
    }
}
