//! The migration service: the only process that acts as the owner of the platform's objects.
//!
//! As a job ([`run_once`]) or as the gate at its own start ([`serve`]) it creates a project's
//! database, applies the system migrations, prepares the login roles and seeds keys. Any number
//! of replicas may do so at once.

mod app;
mod bootstrap;

use axum::Router;
use ingot_http::ListenSettings;
use ingot_project::{DatabaseSettings, PoolSettings, ProjectRegistry};
use tokio_util::sync::CancellationToken;

use crate::app::App;

/// Port when `INGOT_LISTEN` is not set.
const DEFAULT_PORT: u16 = 7136;

ingot_config::settings! {
    /// Settings of the migration service alone.
    pub struct MigrationSettings {
        /// Database that always exists on the server; the project's is created from there.
        maintenance_database: String = "INGOT_MAINTENANCE_DB", default "postgres";
    }
}

ingot_config::configuration! {
    /// Everything that the service is told from outside.
    pub struct Config {
        /// Where it listens and how it stops.
        listen: ListenSettings;
        /// Its own settings.
        migration: MigrationSettings;
        /// The owner's name and password.
        owner: DatabaseSettings;
        /// Its connections to PostgreSQL as a service.
        pools: PoolSettings;
        /// The projects that it serves.
        registry: ProjectRegistry;
    }
}

/// Serves until `shutdown`. Until every project's database is up to date, `/readyz` says no; a
/// database that is down is waited for.
///
/// # Errors
/// The address cannot be bound.
pub async fn serve(config: Config, shutdown: CancellationToken) -> anyhow::Result<()> {
    let app = App::new(&config);
    let gate = tokio::spawn(app.gate.clone().open(shutdown.clone()));
    let health = app.health();
    let served = ingot_http::serve(
        &config.listen,
        DEFAULT_PORT,
        Router::new(),
        health,
        shutdown,
    )
    .await;
    // It ends by the same token; a step under way is rolled back with its connection.
    gate.await?;
    Ok(served?)
}

/// Brings every project's database up to date and returns. Waits while a database is down.
///
/// # Errors
/// A database refuses: the message names the project, the step and the remedy. Also when
/// `shutdown` came first.
pub async fn run_once(config: Config, shutdown: CancellationToken) -> anyhow::Result<()> {
    App::new(&config).gate.open_or_fail(shutdown).await
}
