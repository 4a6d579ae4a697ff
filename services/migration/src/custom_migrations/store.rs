//! `system.custom_migrations`, and the transaction in which a migration runs.

use std::net::IpAddr;
use std::time::Duration;

use ingot_project::{AdminPools, AdminSession};
use serde_json::json;
use sqlx::{AssertSqlSafe, Connection, FromRow, PgConnection, PgPool, raw_sql};
use time::OffsetDateTime;
use tokio::time::timeout;

use super::service::NewMigration;

/// Lock of a project's migrations: one at a time, whichever replica runs it. A number of this
/// module's own.
const LOCK_KEY: i64 = 0x696e_676f_7401;

/// When a migration is ended from outside: its text may lift the limits of its session.
const DEADLINE: Duration = Duration::from_mins(15);

/// The same for a dry run, which the caller waits for.
const REHEARSAL_DEADLINE: Duration = Duration::from_mins(2);

/// A migration runs as the administrator and on the login that may become nothing else. Its
/// statements may take longer than a request's, but not for ever.
const BEGIN: &str = "set local statement_timeout = '10min';
    set local idle_in_transaction_session_timeout = '10min';
    set local role project_admin;
    set local request.jwt.claims = '{\"role\":\"project_admin\"}';
    set local search_path = public";

/// Whatever the migration switched to, its ledger row is written as the administrator.
const END: &str = "set local role project_admin; set local search_path = ''";

/// A row of the ledger.
#[derive(Debug, FromRow)]
pub(super) struct AppliedMigration {
    pub(super) version: String,
    pub(super) name: String,
    pub(super) statements: Vec<String>,
    pub(super) created_at: OffsetDateTime,
}

/// Why a migration was not applied; nothing of it is left.
#[derive(Debug, thiserror::Error)]
pub(super) enum ApplyError {
    /// Its version is not greater than every applied one.
    #[error("the version is not newer than the applied ones")]
    NotNewer,
    /// It took longer than anybody waits.
    #[error("the deadline has passed")]
    Deadline,
    /// PostgreSQL refused it.
    #[error(transparent)]
    Sql(#[from] sqlx::Error),
}

/// Newest first.
pub(super) async fn list(pool: &PgPool) -> sqlx::Result<Vec<AppliedMigration>> {
    sqlx::query_as(
        "select version, name, statements, created_at
         from system.custom_migrations order by version::numeric desc",
    )
    .fetch_all(pool)
    .await
}

/// Runs the whole text and records it, in one transaction.
pub(super) async fn apply(
    pools: &AdminPools,
    migration: &NewMigration,
    statements: Vec<String>,
) -> Result<AppliedMigration, ApplyError> {
    let mut session = AdminSession::open(pools).await?;
    let running = apply_on(session.connection(), migration, statements);
    let Ok(applied) = timeout(DEADLINE, running).await else {
        session.end().await;
        return Err(ApplyError::Deadline);
    };
    session.close().await.ok();
    applied
}

async fn apply_on(
    connection: &mut PgConnection,
    migration: &NewMigration,
    statements: Vec<String>,
) -> Result<AppliedMigration, ApplyError> {
    let mut transaction = connection.begin().await?;
    raw_sql(BEGIN).execute(&mut *transaction).await?;
    sqlx::query("select pg_advisory_xact_lock($1)")
        .bind(LOCK_KEY)
        .execute(&mut *transaction)
        .await?;
    let newer: bool = sqlx::query_scalar(
        "select not exists (
            select from system.custom_migrations where version::numeric >= $1::text::numeric
        )",
    )
    .bind(&migration.version)
    .fetch_one(&mut *transaction)
    .await?;
    if !newer {
        return Err(ApplyError::NotNewer);
    }
    raw_sql(AssertSqlSafe(migration.sql.as_str()))
        .execute(&mut *transaction)
        .await?;
    raw_sql(END).execute(&mut *transaction).await?;
    let created_at = sqlx::query_scalar("select system.record_custom_migration($1, $2, $3)")
        .bind(&migration.version)
        .bind(&migration.name)
        .bind(&statements)
        .fetch_one(&mut *transaction)
        .await?;
    sqlx::query("select pg_notify('pgrst', 'reload schema')")
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(AppliedMigration {
        version: migration.version.clone(),
        name: migration.name.clone(),
        statements,
        created_at,
    })
}

/// Runs the whole text and undoes it.
pub(super) async fn rehearse(pools: &AdminPools, sql: &str) -> Result<(), ApplyError> {
    let mut session = AdminSession::open(pools).await?;
    let Ok(rehearsed) = timeout(REHEARSAL_DEADLINE, rehearse_on(session.connection(), sql)).await
    else {
        session.end().await;
        return Err(ApplyError::Deadline);
    };
    session.close().await.ok();
    Ok(rehearsed?)
}

async fn rehearse_on(connection: &mut PgConnection, sql: &str) -> sqlx::Result<()> {
    let mut transaction = connection.begin().await?;
    raw_sql(BEGIN).execute(&mut *transaction).await?;
    raw_sql(AssertSqlSafe(sql))
        .execute(&mut *transaction)
        .await?;
    // What is checked at the end only is part of the answer, too.
    raw_sql("set constraints all immediate")
        .execute(&mut *transaction)
        .await?;
    transaction.rollback().await
}

/// Writes the audit entry (contract, database §1.6).
pub(super) async fn note(
    pool: &PgPool,
    actor: &str,
    client: Option<IpAddr>,
    migration: &AppliedMigration,
) -> sqlx::Result<()> {
    sqlx::query(
        "insert into system.audit_logs (actor, action, module, details, ip_address)
         values ($1, 'CREATE_CUSTOM_MIGRATION', 'DATABASE', $2, $3::inet)",
    )
    .bind(actor)
    .bind(json!({
        "name": migration.name,
        "version": migration.version,
        "statementCount": migration.statements.len(),
    }))
    .bind(client.map(|address| address.to_string()))
    .execute(pool)
    .await?;
    Ok(())
}
