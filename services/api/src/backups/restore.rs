//! Brings a backup back, all of it or nothing: the project's schemas are emptied and made again, and
//! so are its rows in platform tables. Every statement of a backup runs as `project_admin` on the
//! login of administrators' SQL, so a backup can do what its administrator can, whoever wrote it.

use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use http::StatusCode;
use ingot_http::{ApiError, Code, sql_error};
use ingot_project::{AdminPools, Project};
use sqlx::{AssertSqlSafe, PgConnection, PgPool, raw_sql};
use tokio::time::timeout;

use super::Backups;
use super::archive::{DEFINITIONS, OBJECTS, PLATFORM, SERVICE_ROWS};
use super::content::{self, SERVICES, SHARED};
use super::script::Script;
use crate::advance::import::{Batch, Import, Part, ScriptError, parts};

/// Longest restore.
const DEADLINE: Duration = Duration::from_hours(2);

/// Waiting for one lock ends with 409 (contract, database §9).
const SETTINGS: &str = "set local search_path = ''; set local lock_timeout = '30s';
    set local statement_timeout = 0; set local idle_in_transaction_session_timeout = '30min'";

/// What a dump says that every project has, or that is not the project's to say.
const NOT_THE_PROJECTS: [&str; 3] = [
    "CREATE EXTENSION ",
    "COMMENT ON EXTENSION ",
    "ALTER DEFAULT PRIVILEGES FOR ROLE ",
];

/// Default privileges that are the project's.
const OWN_DEFAULTS: &str = "ALTER DEFAULT PRIVILEGES FOR ROLE project_admin ";

/// Why a script of a backup did not run to its end.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// PostgreSQL refused a statement of it.
    #[error(transparent)]
    Sql(#[from] sqlx::Error),
    /// It cannot be cut into statements.
    #[error("the backup cannot be read: {0}")]
    Script(#[from] ScriptError),
}

impl From<Failure> for ApiError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Sql(error) => sql_error(error),
            Failure::Script(error) => {
                tracing::error!(%error, "a backup cannot be read");
                failed("The backup cannot be read")
            }
        }
    }
}

/// Restores the backup of that key.
pub(super) async fn restore(
    backups: &Arc<Backups>,
    project: &Project,
    pools: &AdminPools,
    service: &PgPool,
    key: &str,
) -> Result<(), ApiError> {
    let running = run(backups, project, pools, service, key);
    // Dropping it ends the sessions and with them the transactions.
    timeout(DEADLINE, running)
        .await
        .unwrap_or_else(|_| Err(failed("The restore was stopped after two hours")))
}

async fn run(
    backups: &Arc<Backups>,
    project: &Project,
    pools: &AdminPools,
    service: &PgPool,
    key: &str,
) -> Result<(), ApiError> {
    let file = |name| {
        let opened = backups.file(project, key, name);
        opened.map_err(|error| {
            tracing::error!(%error, key, name, "a backup's file cannot be read");
            failed("The backup's files are not there")
        })
    };
    let (platform, definitions) = (file(PLATFORM)?, file(DEFINITIONS)?);
    let service_rows = file(SERVICE_ROWS)?;
    let objects = Script::of_file(&backups.tools, file(OBJECTS)?).map_err(|error| {
        tracing::error!(%error, key, "a backup cannot be restored");
        failed(error.to_string())
    })?;

    let (mut import, remaining) = empty(pools).await?;
    for shared in SHARED {
        let (waiting, table) = (shared.waiting, shared.table);
        let make = format!("create temporary table {waiting} (like {table} including defaults)");
        execute(&mut import, &make).await?;
    }
    replay(&mut import, platform, &[]).await?;
    for shared in SHARED {
        merge(&mut import, shared).await?;
    }
    replay(&mut import, objects, &remaining).await?;
    replay(&mut import, definitions, &[]).await?;

    let mut services = service.begin().await?;
    let empty = SERVICES
        .map(|table| format!("delete from {table};"))
        .concat();
    raw_sql(AssertSqlSafe(empty))
        .execute(&mut *services)
        .await?;
    load(&mut services, service_rows).await?;
    import.commit().await.map_err(sql_error)?;
    // A failure of this one alone is told: the same restore again repairs it.
    services.commit().await?;
    Ok(())
}

/// Begins the transaction of a restore: nothing of the project is left in it but extensions. Returns
/// also which statements of a dump are done by what is left.
pub(super) async fn empty(pools: &AdminPools) -> Result<(Import, Vec<String>), Failure> {
    let mut import = Import::begin(pools).await?;
    execute(&mut import, SETTINGS).await?;
    execute(&mut import, &content::removal()).await?;
    let remaining = content::remaining_schemas(import.connection()).await?;
    Ok((import, remaining))
}

/// Runs a script of a backup, without the statements of it that are `done` already.
pub(super) async fn replay(
    import: &mut Import,
    source: impl Read + Send + 'static,
    done: &[String],
) -> Result<(), Failure> {
    let mut parts = Box::pin(parts(source));
    while let Some(part) = next(&mut parts).await? {
        match part {
            Part::Statements(batch) => execute(import, &of_the_project(&batch, done)).await?,
            Part::Copy(batch) => {
                let mut copy = import.copy(&batch.sql).await?;
                while let Some(Part::CopyData(data)) = next(&mut parts).await? {
                    copy.send(data).await?;
                }
                copy.finish().await?;
            }
            // Only a COPY takes data, and it takes all of it.
            Part::CopyData(_) | Part::CopyEnd => {}
        }
    }
    Ok(())
}

/// Loads rows into tables that only services write. The file has nothing else.
async fn load(
    connection: &mut PgConnection,
    source: impl Read + Send + 'static,
) -> Result<(), ApiError> {
    let mut parts = Box::pin(parts(source));
    while let Some(part) = next(&mut parts).await? {
        let sql = match part {
            Part::Copy(batch) if is_services_copy(&batch.sql) => batch.sql,
            Part::CopyData(_) | Part::CopyEnd => continue,
            Part::Copy(_) | Part::Statements(_) => {
                return Err(failed(
                    "The backup has something else where it should have rows",
                ));
            }
        };
        let mut copy = connection.copy_in_raw(&sql).await?;
        while let Some(Part::CopyData(data)) = next(&mut parts).await? {
            copy.send(data).await?;
        }
        copy.finish().await?;
    }
    Ok(())
}

/// Whether it does nothing but take rows for a table that only services write: it runs as one.
fn is_services_copy(sql: &str) -> bool {
    let columns = SERVICES.iter().find_map(|table| {
        let rest = sql.strip_prefix(&format!("COPY {table} ("))?;
        rest.trim_end_matches(';').strip_suffix(") FROM stdin")
    });
    let plain = |b: u8| b.is_ascii_lowercase() || matches!(b, b'_' | b',' | b' ');
    columns.is_some_and(|columns| columns.bytes().all(plain))
}

async fn next(
    parts: &mut (impl futures::Stream<Item = Result<Part, ScriptError>> + Unpin),
) -> Result<Option<Part>, Failure> {
    match parts.next().await {
        None | Some(Err(ScriptError::Empty)) => Ok(None),
        Some(Ok(part)) => Ok(Some(part)),
        Some(Err(error)) => Err(error.into()),
    }
}

/// The statements of a batch without those that are not the project's.
fn of_the_project(batch: &Batch, done: &[String]) -> String {
    let wanted = |sql: &&str| is_projects(sql) && !done.iter().any(|it| it == sql.trim());
    batch.statements().filter(wanted).collect()
}

fn is_projects(sql: &str) -> bool {
    let sql = sql.trim_start();
    let foreign = NOT_THE_PROJECTS.iter().any(|known| sql.starts_with(known));
    // The grants on `public` are the platform's.
    let of_public = ["GRANT ", "REVOKE "].iter().any(|it| sql.starts_with(it))
        && sql.contains(" ON SCHEMA public ");
    (!foreign || sql.starts_with(OWN_DEFAULTS)) && !of_public
}

/// Makes a table's rows those that wait for it. Rows that stay keep what refers to them.
async fn merge(import: &mut Import, shared: content::Shared) -> Result<(), Failure> {
    let content::Shared { table, waiting } = shared;
    let columns = content::columns(import.connection(), table).await?;
    let changes: Vec<String> = columns
        .split(", ")
        .map(|column| format!("{column} = excluded.{column}"))
        .collect();
    let sql = format!(
        "delete from {table} as old
             where not exists (select from {waiting} as new where new.id = old.id);
         insert into {table} ({columns}) select {columns} from {waiting}
             on conflict (id) do update set {}",
        changes.join(", ")
    );
    execute(import, &sql).await
}

async fn execute(import: &mut Import, sql: &str) -> Result<(), Failure> {
    let (_, result) = import.run(sql).await;
    Ok(result?)
}

fn failed(message: impl Into<std::borrow::Cow<'static, str>>) -> ApiError {
    ApiError::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        Code::DatabaseInternalError,
        message,
    )
    .with_hint("Nothing was changed; look at the server's log, or restore another backup")
}

#[cfg(test)]
mod tests {
    use super::{is_projects, is_services_copy};

    #[test]
    fn services_take_rows_and_run_nothing() {
        assert!(is_services_copy(
            "COPY system.custom_migrations (version, name, created_at) FROM stdin;"
        ));
        for sql in [
            "COPY system.secrets (key) FROM stdin;",
            "COPY system.custom_migrations (version) FROM stdin WHERE public.f();",
            "COPY system.custom_migrations (version) FROM stdin (default 'x');",
            "COPY system.custom_migrations (version) FROM program 'id';",
            "COPY system.custom_migrations FROM stdin;",
        ] {
            assert!(!is_services_copy(sql), "{sql}");
        }
    }

    #[test]
    fn what_is_the_platforms_is_left_out() {
        for sql in [
            "CREATE TABLE public.t (a int);",
            "GRANT ALL ON SCHEMA shop TO anon;",
            "GRANT SELECT ON TABLE public.t TO anon;",
            "ALTER DEFAULT PRIVILEGES FOR ROLE project_admin IN SCHEMA shop GRANT ALL ON TABLES TO anon;",
        ] {
            assert!(is_projects(sql), "{sql}");
        }
        for sql in [
            "\nGRANT ALL ON SCHEMA public TO anon;",
            "REVOKE USAGE ON SCHEMA public FROM PUBLIC;",
            "ALTER DEFAULT PRIVILEGES FOR ROLE postgres IN SCHEMA public GRANT ALL ON TABLES TO anon;",
            "CREATE EXTENSION IF NOT EXISTS pgcrypto WITH SCHEMA public;",
        ] {
            assert!(!is_projects(sql), "{sql}");
        }
    }
}
