//! The api service: accounts and sessions, keys and secrets, tables and raw SQL, dashboards.
//!
//! Each domain is a folder with the same three rooms: `routes.rs` (HTTP), `service.rs` (rules),
//! `store.rs` (SQL). [`router`] shows every route on one page.

mod admin_records;
mod advance;
mod app;
mod audit;
mod auth;
mod backups;
mod dashboard;
mod database;
mod dates;
mod introspection;
mod openapi;
mod platform;
mod query;
mod realtime;
mod router;
mod secrets;
mod tables;

pub use advance::UploadSettings;
pub use auth::AdminAccount;
pub use backups::{BackupSettings, Definitions, Dump, ObjectsRestore, ProjectObjects};
use ingot_bus::BusSettings;
use ingot_http::{BodySettings, EdgeSettings, ListenSettings};
use ingot_identity::CloudSettings;
use ingot_project::{PoolSettings, ProjectRegistry};
pub use platform::BesideSettings;
use tokio_util::sync::CancellationToken;

/// Port when `INGOT_LISTEN` is not set.
const DEFAULT_PORT: u16 = 7131;

ingot_config::configuration! {
    /// Everything that the service is told from outside.
    pub struct Config {
        /// Where it listens and how it stops.
        listen: ListenSettings;
        /// How it knows the edge.
        edge: EdgeSettings;
        /// How large a body may be.
        body: BodySettings;
        /// What files it takes.
        uploads: UploadSettings;
        /// Where backups go.
        backups: BackupSettings;
        /// Its connections to PostgreSQL.
        pools: PoolSettings;
        /// Its connection to NATS.
        bus: BusSettings;
        /// The dashboard's administrator.
        admin: AdminAccount;
        /// The control plane that it believes.
        cloud: CloudSettings;
        /// Services beside the backend.
        beside: BesideSettings;
        /// The projects that it serves.
        registry: ProjectRegistry;
    }
}

/// Serves until `shutdown`, then finishes the requests under way.
///
/// PostgreSQL and NATS may be down at the start and at any time later: `/readyz` says so, and the
/// service recovers by itself.
///
/// # Errors
/// The address cannot be bound, or `NATS_URL` is no address.
pub async fn serve(config: Config, shutdown: CancellationToken) -> anyhow::Result<()> {
    let app = app::App::new(&config, &shutdown).await?;
    let health = app.health();
    let sweep = auth::sessions::sweep(app.clone());
    tokio::spawn(shutdown.clone().run_until_cancelled_owned(sweep));
    let schedules = backups::run_schedules(app.clone());
    tokio::spawn(shutdown.clone().run_until_cancelled_owned(schedules));
    let routes = router::router(&config, app);
    ingot_http::serve(&config.listen, DEFAULT_PORT, routes, health, shutdown).await?;
    Ok(())
}
