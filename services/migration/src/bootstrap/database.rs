//! One project's database, from nothing to ready: created, migrated, with logins and keys.

use std::time::Duration;

use ingot_config::Secret;
use ingot_identity::{SeedError, SeedSettings};
use ingot_project::{LoginRole, Project};
use ingot_schema::{RealtimeSource, SchemaError, Status};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection, PgConnection};

use crate::BootstrapConfig;

/// Longest time to a connection; sqlx itself would wait for as long as the network lets it.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Why a database is not up.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BringUpError {
    /// It could not be reached, or its schema could not be brought up to date.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// The project's keys could not be stored.
    #[error(transparent)]
    Seed(#[from] SeedError),
}

/// How the owner of the platform's objects connects, and what he seeds.
#[derive(Debug, Clone)]
pub(crate) struct Owner {
    name: String,
    password: Option<Secret>,
    /// A database that always exists; the project's is created from there.
    maintenance_database: String,
    /// Whether nobody but Ingot uses the server.
    seal_server: bool,
    /// Where the relay hears of messages.
    source: RealtimeSource,
    /// Who reads the log then.
    reader: Option<String>,
    seed: SeedSettings,
}

impl Owner {
    pub(crate) fn new(config: &BootstrapConfig) -> Self {
        Self {
            name: config.owner.owner.clone(),
            password: config.owner.owner_password.clone(),
            maintenance_database: config.migration.maintenance_database.clone(),
            seal_server: config.migration.seal_server,
            source: config.migration.source,
            reader: config.migration.reader.clone(),
            seed: config.seed.clone(),
        }
    }

    /// Does everything that `project`'s database lacks. Doing it again changes nothing, and
    /// several replicas may do it at once. Returns how many steps it applied.
    pub(crate) async fn bring_up(&self, project: &Project) -> Result<usize, BringUpError> {
        let mut owner = self.connect_or_create(project).await?;
        let applied = ingot_schema::migrate(&mut owner).await?;
        ingot_schema::prepare_logins(&mut owner, project).await?;
        let reader = self.reader.as_deref();
        ingot_schema::switch_realtime_source(&mut owner, self.source, reader).await?;
        if self.seal_server {
            ingot_schema::close_other_databases(&mut owner).await?;
        }
        owner.close().await.ok();
        self.seed(project).await?;
        tracing::info!(
            project = %project.id,
            applied = applied.len(),
            version = ingot_schema::latest_version(),
            "database is up to date"
        );
        Ok(applied.len())
    }

    /// What the project's database has and lacks. Changes nothing; `None` without a database.
    pub(crate) async fn look(&self, project: &Project) -> Result<Option<Status>, SchemaError> {
        let options = self.options(project);
        let mut owner = match within_timeout(options.connect()).await {
            Err(error) if is_unknown_database(&error) => return Ok(None),
            other => other?,
        };
        let status = ingot_schema::status(&mut owner).await;
        owner.close().await.ok();
        status.map(Some)
    }

    fn options(&self, project: &Project) -> PgConnectOptions {
        // The owner never resolves a name to something that the project made.
        project
            .database
            .owner_options(&self.name, self.password.as_ref())
            .options([("search_path", "pg_catalog")])
    }

    /// As the services' login: that proves it works, and the owner is not needed for it.
    async fn seed(&self, project: &Project) -> Result<(), BringUpError> {
        let options = project.connect_options(LoginRole::Service);
        let mut service = within_timeout(options.connect())
            .await
            .map_err(SchemaError::from)?;
        let seeded = ingot_identity::seed(&mut service, project, &self.seed).await?;
        service.close().await.ok();
        if seeded.created {
            tracing::info!(project = %project.id, "keys created");
        }
        Ok(())
    }

    /// How to reach, on the project's server, the database that always exists.
    pub(crate) fn maintenance(&self, project: &Project) -> PgConnectOptions {
        self.options(project).database(&self.maintenance_database)
    }

    /// A session on the project's database, which must exist.
    pub(crate) async fn connect(&self, project: &Project) -> Result<PgConnection, SchemaError> {
        Ok(within_timeout(self.options(project).connect()).await?)
    }

    /// The maintenance database is asked only when the project's own does not exist: a managed
    /// server may have closed it.
    async fn connect_or_create(&self, project: &Project) -> Result<PgConnection, SchemaError> {
        let options = self.options(project);
        match within_timeout(options.connect()).await {
            Err(error) if is_unknown_database(&error) => {
                let maintenance = self.maintenance(project);
                ingot_schema::create_database_if_missing(&maintenance, &project.database.name)
                    .await?;
                Ok(within_timeout(options.connect()).await?)
            }
            other => Ok(other?),
        }
    }
}

/// Gives up on a server that does not answer.
pub(crate) async fn within_timeout<T>(
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
pub(crate) fn is_passing(error: &BringUpError) -> bool {
    match error {
        BringUpError::Schema(SchemaError::Busy { .. }) => true,
        BringUpError::Schema(
            SchemaError::Database(error) | SchemaError::StepFailed { source: error, .. },
        )
        | BringUpError::Seed(SeedError::Database(error)) => {
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
