//! The migration service: the only process that acts as the owner of the platform's objects.
//!
//! As a job ([`run_once`]) or as the gate at its own start ([`serve`]) it creates a project's
//! database, applies the system migrations, prepares the login roles and seeds keys. Any number
//! of replicas may do so at once.

mod adoption;
mod app;
mod bootstrap;
mod custom_migrations;
mod fleet;
mod logins;
mod relocation;
mod router;

use std::process::ExitCode;
use std::sync::Arc;

use ingot_bus::BusSettings;
use ingot_http::{BodySettings, EdgeSettings, ListenSettings};
use ingot_identity::{CloudSettings, SeedSettings};
use ingot_project::{DatabaseSettings, PoolSettings, ProjectRegistry};
use ingot_schema::RealtimeSource;
use tokio_util::sync::CancellationToken;

pub use crate::adoption::{Adoption, AdoptionError, adopt};
pub use crate::fleet::{Action, Fleet, FleetError, Report, State};
pub use crate::relocation::{Column, Extension, Origin, Place, RowsIn, Source, Table};

use crate::app::App;
use crate::bootstrap::Gate;

/// Port when `INGOT_LISTEN` is not set.
const DEFAULT_PORT: u16 = 7136;

ingot_config::settings! {
    /// Settings of the migration service alone.
    pub struct MigrationSettings {
        /// Database that always exists on the server; the project's is created from there.
        maintenance_database: String = "INGOT_MAINTENANCE_DB", default "postgres";
        /// Whether to close all other databases of the server to PUBLIC, so that a project's logins
        /// reach no other database at all. For servers that nobody but Ingot uses.
        seal_server: bool = "INGOT_SEAL_SERVER", default "false";
        /// Where committed messages are heard of: `listen`, from notifications, or `wal`, from
        /// PostgreSQL's log, where many transactions publish at the same time. The same for the
        /// migration service and the relay.
        source: RealtimeSource = "REALTIME_SOURCE", default "listen";
        /// With `REALTIME_SOURCE=wal`, a login of PostgreSQL that has the attribute `REPLICATION`. The
        /// same for the migration service and the relay.
        reader: Option<String> = "INGOT_REPLICATION_USER";
    }
}

ingot_config::configuration! {
    /// What bringing databases up takes: all that the job is told.
    pub struct BootstrapConfig {
        /// Settings of the migration service alone.
        migration: MigrationSettings;
        /// The owner's name and password.
        owner: DatabaseSettings;
        /// First values of a project's keys.
        seed: SeedSettings;
        /// The projects that it serves.
        registry: ProjectRegistry;
    }
}

ingot_config::configuration! {
    /// Everything that the service is told from outside.
    pub struct Config {
        /// Where it listens and how it stops.
        listen: ListenSettings;
        /// How it knows the edge.
        edge: EdgeSettings;
        /// How large a body may be.
        body: BodySettings;
        /// Its connections to PostgreSQL.
        pools: PoolSettings;
        /// Its connection to NATS.
        bus: BusSettings;
        /// The control plane that it believes.
        cloud: CloudSettings;
        /// The databases that it brings up.
        bootstrap: BootstrapConfig;
    }
}

/// The process: `ingot-migration` serves, `ingot-migration --once` brings the databases up to date
/// and ends.
pub fn main() -> ExitCode {
    const NAME: &str = "ingot-migration";
    if std::env::args().nth(1).as_deref() == Some("--once") {
        ingot_telemetry::run(NAME, run_once)
    } else {
        ingot_telemetry::run(NAME, serve)
    }
}

/// Serves until `shutdown`. Until every project's database is up to date, `/readyz` says no; a
/// database that is down is waited for.
///
/// # Errors
/// The address cannot be bound, or `NATS_URL` is no address.
pub async fn serve(config: Config, shutdown: CancellationToken) -> anyhow::Result<()> {
    let app = App::new(&config, &shutdown).await?;
    let gate = tokio::spawn(app.gate.clone().open(shutdown.clone()));
    let keeper = tokio::spawn(logins::keep(app.pools.clone(), shutdown.clone()));
    let health = app.health();
    let router = router::router(&config, app);
    let served = ingot_http::serve(
        &config.listen,
        DEFAULT_PORT,
        router,
        health,
        shutdown.clone(),
    )
    .await;
    // Also when the listener failed: a step under way is rolled back with its connection.
    shutdown.cancel();
    gate.await?;
    keeper.await?;
    Ok(served?)
}

/// Brings every project's database up to date and returns. Waits while a database is down.
///
/// # Errors
/// A database refuses: the message names the project, the step and the remedy. Also when
/// `shutdown` came first.
pub async fn run_once(config: BootstrapConfig, shutdown: CancellationToken) -> anyhow::Result<()> {
    let registry = Arc::new(config.registry.clone());
    Gate::new(&config, registry).open_or_fail(shutdown).await
}
