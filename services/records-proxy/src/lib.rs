//! The records-proxy service: rows and functions of the projects' databases over HTTP.
//!
//! `records/` holds the platform's rules. What executes requests is behind the trait in
//! `engine.rs`: `native/` on our own engine, `postgrest/` on a PostgREST beside this service.

mod engine;
mod native;
mod postgrest;
mod records;

use std::sync::Arc;
use std::time::Duration;

use axum::middleware::from_fn_with_state;
use futures::StreamExt;
use ingot_bus::{Bus, BusSettings, Invalidation};
use ingot_config::SettingValue;
use ingot_http::{BodySettings, CheckResult, EdgeKey, EdgeSettings, Health, ListenSettings};
use ingot_identity::Authenticator;
use ingot_project::{PoolSettings, Pools, ProjectId, ProjectRegistry};
use tokio_util::sync::CancellationToken;

pub use native::NativeSettings;
pub use postgrest::PostgrestSettings;

use engine::RecordsEngine;
use native::NativeEngine;
use postgrest::PostgrestEngine;
use records::{Api, ColumnTypes, Records, SchemaWatch};

/// Port when `INGOT_LISTEN` is not set.
const DEFAULT_PORT: u16 = 7132;
/// Pause between two looks for projects without requests.
const TIDY_INTERVAL: Duration = Duration::from_mins(1);
/// Pause before another attempt to subscribe to schema changes.
const SUBSCRIBE_PAUSE: Duration = Duration::from_secs(2);
/// Longest wait, at the end, for events that are still to be published.
const LAST_EVENTS: Duration = Duration::from_secs(2);

ingot_config::settings! {
    /// How records requests are executed.
    pub struct RecordsSettings {
        /// Which engine executes records requests: native or postgrest.
        engine: EngineKind = "INGOT_RECORDS_ENGINE", default "native";
    }
}

/// The engines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EngineKind {
    /// Our own, on the project's database.
    Native,
    /// A PostgREST beside this service.
    Postgrest,
}

impl SettingValue for EngineKind {
    const KIND: &'static str = "native or postgrest";

    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "native" => Ok(Self::Native),
            "postgrest" => Ok(Self::Postgrest),
            _ => Err(format!("`{text}` is no records engine: use {}", Self::KIND)),
        }
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
        /// Which engine it uses.
        records: RecordsSettings;
        /// The engine of our own.
native: NativeSettings;
        /// The engine beside it.
        postgrest: PostgrestSettings;
        /// Its connections to PostgreSQL besides the engine's.
        pools: PoolSettings;
        /// Its connection to NATS.
        bus: BusSettings;
        /// The projects that it serves.
        registry: ProjectRegistry;
    }
}

/// Serves until `shutdown`, then finishes the requests under way.
///
/// PostgreSQL, PostgREST and NATS may be down at the start and at any time later: `/readyz` says
/// so, and the service recovers by itself.
///
/// # Errors
/// The address cannot be bound, or a setting cannot be used.
pub async fn serve(config: Config, shutdown: CancellationToken) -> anyhow::Result<()> {
    let registry = Arc::new(config.registry);
    let pools = Pools::new(Arc::clone(&registry), config.pools);
    let bus = Bus::connect(&config.bus, "ingot-records-proxy").await?;
    let identity = Authenticator::new(pools.clone());
    identity.watch(&bus, &shutdown);
    let engine: Arc<dyn RecordsEngine> = match config.records.engine {
        EngineKind::Native => Arc::new(NativeEngine::new(pools.clone(), config.native)),
        EngineKind::Postgrest => Arc::new(PostgrestEngine::new(&config.postgrest)?),
    };
    let (events, publisher) = records::publish(bus.clone());
    let publisher = tokio::spawn(publisher);
    let watch = SchemaWatch::new(pools.clone(), shutdown.clone());
    let records = Arc::new(Records::new(engine, ColumnTypes::new(pools), events, watch));
    for project in registry.iter() {
        let hearing = hear_of_changes(bus.clone(), project.id.clone(), Arc::clone(&records));
        tokio::spawn(shutdown.clone().run_until_cancelled_owned(hearing));
    }
    let tidying = tidy(Arc::clone(&records));
    tokio::spawn(shutdown.clone().run_until_cancelled_owned(tidying));

    let health = health(&records, &registry, bus.clone());
    let guard = EdgeKey::new(&config.edge, registry);
    let api = Api { records, identity };
    let routes = records::router(api, &config.body)
        .map(|router| router.layer(from_fn_with_state(guard, EdgeKey::require)));
    ingot_http::serve(&config.listen, DEFAULT_PORT, routes, health, shutdown).await?;
    // All requests are done and so are all reporters, hence the publisher comes to its end.
    tokio::time::timeout(LAST_EVENTS, publisher).await.ok();
    tokio::time::timeout(LAST_EVENTS, bus.client().flush())
        .await
        .ok();
    Ok(())
}

/// Passes on what other services say about the schema of a project.
async fn hear_of_changes(bus: Bus, project: ProjectId, records: Arc<Records>) {
    loop {
        match bus.invalidations(&project).await {
            Ok(mut invalidations) => {
                while let Some(invalidation) = invalidations.next().await {
                    if invalidation == Invalidation::Schema {
                        records.schema_changed(&project).await;
                    }
                }
            }
            Err(error) => tracing::warn!(%project, %error, "cannot hear of schema changes"),
        }
        tokio::time::sleep(SUBSCRIBE_PAUSE).await;
    }
}

async fn tidy(records: Arc<Records>) {
    loop {
        tokio::time::sleep(TIDY_INTERVAL).await;
        records.let_go().await;
    }
}

/// Ready while NATS and the engine, for every project, answer.
fn health(records: &Arc<Records>, registry: &Arc<ProjectRegistry>, bus: Bus) -> Health {
    let (records, registry) = (Arc::clone(records), Arc::clone(registry));
    Health::new(vec![
        (
            "records engine",
            Box::new(move || Box::pin(engine_answers(Arc::clone(&records), Arc::clone(&registry)))),
        ),
        (
            "nats",
            Box::new(move || {
                let connected = bus.is_connected();
                Box::pin(async move { connected.then_some(()).ok_or("not connected".into()) })
            }),
        ),
    ])
}

async fn engine_answers(records: Arc<Records>, registry: Arc<ProjectRegistry>) -> CheckResult {
    for project in registry.iter() {
        records.ready(project).await?;
    }
    Ok(())
}
