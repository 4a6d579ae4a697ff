//! One project's database, from nothing to ready.

use std::time::Duration;

use ingot_config::Secret;
use ingot_project::Project;
use ingot_schema::SchemaError;
use sqlx::{ConnectOptions, Connection, PgConnection};

/// Longest time to a connection; sqlx itself would wait for as long as the network lets it.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How the owner of the platform's objects connects.
#[derive(Debug, Clone)]
pub(crate) struct Owner {
    pub(crate) name: String,
    pub(crate) password: Option<Secret>,
    /// A database that always exists; the project's is created from there.
    pub(crate) maintenance_database: String,
}

impl Owner {
    /// Does everything that `project`'s database lacks. Doing it again changes nothing, and
    /// several replicas may do it at once.
    pub(crate) async fn bring_up(&self, project: &Project) -> Result<(), SchemaError> {
        let mut connection = self.connect_or_create(project).await?;
        let applied = ingot_schema::migrate(&mut connection).await?;
        ingot_schema::prepare_logins(&mut connection, project).await?;
        connection.close().await.ok();
        tracing::info!(
            project = %project.id,
            applied = applied.len(),
            version = ingot_schema::latest_version(),
            "database is up to date"
        );
        Ok(())
    }

    /// The maintenance database is asked only when the project's own does not exist: a managed
    /// server may have closed it.
    async fn connect_or_create(&self, project: &Project) -> Result<PgConnection, SchemaError> {
        let options = project
            .database
            .owner_options(&self.name, self.password.as_ref());
        match within_timeout(options.connect()).await {
            Err(error) if is_unknown_database(&error) => {
                let maintenance = options.clone().database(&self.maintenance_database);
                ingot_schema::create_database_if_missing(&maintenance, &project.database.name)
                    .await?;
                Ok(within_timeout(options.connect()).await?)
            }
            other => Ok(other?),
        }
    }
}

async fn within_timeout<T>(
    connecting: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, sqlx::Error> {
    tokio::time::timeout(CONNECT_TIMEOUT, connecting)
        .await
        .unwrap_or_else(|_| {
            let error = std::io::Error::new(
                std::io::ErrorKind::TimedOut,
                "no connection within 10 s: check POSTGRES_HOST and POSTGRES_PORT",
            );
            Err(sqlx::Error::Io(error))
        })
}

/// `invalid_catalog_name`: the server is there, the database is not.
fn is_unknown_database(error: &sqlx::Error) -> bool {
    sqlstate(error).is_some_and(|code| code == "3D000")
}

/// Whether waiting may help: the server is down, starting, stopping or full, or another runner
/// is at work. Everything else needs somebody to act.
pub(crate) fn is_passing(error: &SchemaError) -> bool {
    match error {
        SchemaError::Busy { .. } => true,
        SchemaError::Database(error) | SchemaError::StepFailed { source: error, .. } => {
            matches!(error, sqlx::Error::Io(_))
                || sqlstate(error).is_some_and(|code| {
                    ["08", "53", "57P"]
                        .iter()
                        .any(|class| code.starts_with(class))
                })
        }
        _ => false,
    }
}

fn sqlstate(error: &sqlx::Error) -> Option<std::borrow::Cow<'_, str>> {
    error.as_database_error()?.code()
}
