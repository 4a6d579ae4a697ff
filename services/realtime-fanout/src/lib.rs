//! The realtime-fanout service: a Socket.IO node (contract, realtime).
//!
//! A node keeps nothing that another needs. It joins a room on the bus while one of its own sockets
//! is in it, and hands each message to those. The way of a frame: [`transport`] (HTTP) or
//! [`websocket`] → [`session`] (one socket's conversation) → [`channels`] (subscribe, publish) → [`rooms`] (who
//! is where, delivery) with [`presence`].

mod accounts;
mod audience;
mod channels;
mod dashboard;
mod handshake;
mod node;
mod presence;
mod rooms;
mod session;
mod transport;
mod websocket;

use std::sync::Arc;

use ingot_bus::{Bus, BusSettings};
use ingot_http::{EdgeKey, EdgeSettings, ListenSettings};
use ingot_project::{PoolSettings, Pools, ProjectRegistry};
use tokio_util::sync::CancellationToken;

use node::Node;

/// Port when `INGOT_LISTEN` is not set.
const DEFAULT_PORT: u16 = 7134;

ingot_config::settings! {
    /// Limits of a realtime node.
    pub struct RealtimeSettings {
        /// Frames that may wait for one socket; a socket that reads more slowly is disconnected.
        queue: usize = "INGOT_REALTIME_QUEUE", default "2048";
        /// Channels that one socket may subscribe to.
        channels_per_socket: usize = "INGOT_REALTIME_CHANNELS_PER_SOCKET", default "1000";
        /// Subscriptions and publications that one socket may ask for in a second; five seconds'
        /// worth may come at once. What is more is refused.
        events_per_second: u32 = "INGOT_REALTIME_EVENTS_PER_SECOND", default "100";
        /// Whether a socket is closed when the token expires that it was opened with. Its client
        /// then connects again, with a new token if it has one.
        close_expired: bool = "INGOT_REALTIME_CLOSE_EXPIRED", default "false";
        /// Seconds over which a node that stops closes its sockets, when it has many: their clients
        /// all come to the other nodes.
        drain_window: ingot_config::Seconds = "INGOT_REALTIME_DRAIN_WINDOW", default "5";
    }
}

ingot_config::configuration! {
    /// Everything that the service is told from outside.
    pub struct Config {
        /// Where it listens and how it stops.
        listen: ListenSettings;
        /// How it knows the edge.
        edge: EdgeSettings;
        /// Its connections to PostgreSQL.
        pools: PoolSettings;
        /// Its connection to NATS.
        bus: BusSettings;
        /// Its limits.
        realtime: RealtimeSettings;
        /// The projects that it serves.
        registry: ProjectRegistry;
    }
}

/// Serves until `shutdown`; then tells its sockets, closes them and waits for their ends.
///
/// PostgreSQL and NATS may be down at the start and at any time later: `/readyz` says so, and the
/// service recovers by itself.
///
/// # Errors
/// The address cannot be bound, or `NATS_URL` is no address.
pub async fn serve(config: Config, shutdown: CancellationToken) -> anyhow::Result<()> {
    begin_metrics();
    let bus = Bus::connect(&config.bus, "ingot-realtime-fanout").await?;
    let registry = Arc::new(config.registry);
    let guard = EdgeKey::new(&config.edge, Arc::clone(&registry));
    let pools = Pools::new(registry, config.pools);
    let node = Node::start(bus, pools, config.realtime, &shutdown);
    let router = transport::router(Arc::clone(&node), guard);
    let mut listen = config.listen;
    let delay = std::mem::take(&mut listen.drain_delay.0);
    let (node_stop, listener_stop) = (shutdown.clone(), CancellationToken::new());
    let health = node.health()?;
    let closing = tokio::spawn({
        let listener_stop = listener_stop.clone();
        async move {
            // Polling clients fetch their good-bye with a new request, so the listener goes last.
            node.close_on(node_stop, delay).await;
            listener_stop.cancel();
        }
    });
    let served = ingot_http::serve_tuned(
        &listen,
        DEFAULT_PORT,
        router,
        health,
        listener_stop,
        transport::cut_stalled,
    )
    .await;
    // Also when the listener failed: nobody else ends these tasks.
    shutdown.cancel();
    closing.await?;
    Ok(served?)
}

/// Autoscalers and alerts need to see the zero before the first socket.
fn begin_metrics() {
    ingot_telemetry::begin_at_zero(&["realtime_messages_total", "realtime_deliveries_total"]);
    for gauge in ["realtime_sockets", "realtime_rooms"] {
        metrics::gauge!(gauge).increment(0);
    }
    for reason in [
        "slow",
        "flood",
        "malformed",
        "protocol",
        "expired",
        "deleted",
    ] {
        metrics::counter!("realtime_disconnects_total", "reason" => reason).increment(0);
    }
}
