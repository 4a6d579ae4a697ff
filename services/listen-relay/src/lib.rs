//! The listen-relay service: hands committed realtime messages from PostgreSQL to the bus.
//!
//! Any number of replicas run; per project database one of them is active, held by an advisory
//! lock of its LISTEN connection. The others stand by.

mod audience;
mod relay;
mod retention;
mod source;
mod webhooks;

pub use relay::LOCK;
use source::SourceSettings;
use webhooks::WebhookSettings;

use ingot_bus::{Bus, BusSettings};
use ingot_http::ListenSettings;
use ingot_project::{PoolSettings, Pools, ProjectRegistry};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Port when `INGOT_LISTEN` is not set; health and metrics only.
const DEFAULT_PORT: u16 = 7135;

ingot_config::settings! {
    /// How the relay looks after the messages of its projects.
    pub struct RetentionSettings {
        /// Seconds between two times that messages past the project's retention are deleted.
        interval: ingot_config::Seconds = "INGOT_REALTIME_RETENTION_INTERVAL", default "3600";
    }
}

ingot_config::configuration! {
    /// Everything that the service is told from outside.
    pub struct Config {
        /// Where health and metrics listen.
        listen: ListenSettings;
        /// Its connections to PostgreSQL, apart from the ones that listen.
        pools: PoolSettings;
        /// Its connection to NATS.
        bus: BusSettings;
        /// When it deletes old messages.
        retention: RetentionSettings;
        /// Where it hears of messages.
        source: SourceSettings;
        /// How webhooks are sent.
        webhooks: WebhookSettings;
        /// The projects that it serves.
        registry: ProjectRegistry;
    }
}

/// Serves until `shutdown`; then hands over what it has, so that a standby goes on at once.
///
/// PostgreSQL and NATS may be down at the start and at any time later: `/readyz` says so, and the
/// service recovers by itself.
///
/// # Errors
/// The address cannot be bound, `NATS_URL` is no address, no HTTP client can be made, or nobody can
/// read PostgreSQL's log where that is asked for.
pub async fn serve(config: Config, shutdown: CancellationToken) -> anyhow::Result<()> {
    let reader = source::reader(&config.source)?;
    let bus = Bus::connect(&config.bus, "ingot-listen-relay").await?;
    let pools = Pools::new(Arc::new(config.registry), config.pools);
    let tasks = TaskTracker::new();
    let sender = webhooks::Sender::new(&config.webhooks)?;
    let mut statuses = Vec::new();
    for project in pools.registry().iter() {
        let status = relay::Status::new(project.id.clone());
        statuses.push(Arc::clone(&status));
        let relay = relay::Relay::new(
            Arc::clone(project),
            pools.clone(),
            bus.clone(),
            config.retention.interval.0,
            relay::Webhooks {
                sender: sender.clone(),
                longest_attempt: config.webhooks.timeout.0,
            },
            reader.clone(),
            status,
        );
        tasks.spawn(relay.run(shutdown.clone()));
    }
    tasks.close();
    let health = relay::health(bus, statuses);
    let mut listen = config.listen;
    // Nobody is led here, so nobody has to be led elsewhere first.
    listen.drain_delay.0 = Duration::ZERO;
    let served = ingot_http::serve(
        &listen,
        DEFAULT_PORT,
        axum::Router::new(),
        health,
        shutdown.clone(),
    )
    .await;
    // Also when the listener failed: nobody else ends these tasks.
    shutdown.cancel();
    tasks.wait().await;
    Ok(served?)
}
