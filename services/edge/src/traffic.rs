//! Everything that happens on client connections, from the first accept to the end of the drain.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use pingora::apps::HttpServerApp;
use pingora::proxy::{HttpProxy, http_proxy};
use pingora::server::configuration::ServerConf;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::drain::Flights;
use crate::gateway::Gateway;
use crate::listener::Connections;
use crate::settings::Config;
use crate::upstream::MAX_TRIES;

/// In a drain, idle connections stay open so long: a request that is on its way through the
/// network finds somebody to answer it.
const QUIET: Duration = Duration::from_secs(1);

/// The client-facing half: connections and what is under way on them.
pub(crate) struct Traffic {
    connections: Connections,
    flights: Arc<Flights>,
    proxy: Arc<HttpProxy<Gateway>>,
    closing: watch::Sender<bool>,
    /// Threads of its own, if the settings want them.
    threads: Option<Threads>,
}

/// Threads that end without being waited for: the drain has emptied them.
struct Threads(Option<Runtime>);

impl Threads {
    fn start(count: usize) -> anyhow::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(count)
            .thread_name("edge-traffic")
            .enable_all()
            .build()
            .context("cannot start the threads of INGOT_EDGE_THREADS")?;
        Ok(Self(Some(runtime)))
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl Traffic {
    /// The traffic of `gateway`, which counts its requests in `flights`.
    pub(crate) fn new(
        config: &Config,
        gateway: Gateway,
        flights: Arc<Flights>,
    ) -> anyhow::Result<Self> {
        let threads = match config.listen.threads {
            0 => None,
            count => Some(Threads::start(count)?),
        };
        let conf = ServerConf {
            threads: config.listen.threads.max(1),
            upstream_keepalive_pool_size: config.upstream.idle_connections,
            max_retries: MAX_TRIES,
            ..ServerConf::default()
        };
        let keep_alive_seconds = gateway.keep_alive_seconds;
        let proxy = Arc::new(http_proxy(&Arc::new(conf), gateway));
        let (closing, is_closing) = watch::channel(false);
        let connections = Connections {
            proxy: Arc::clone(&proxy),
            closing: is_closing,
            keep_alive_seconds,
            cut: CancellationToken::new(),
            open: TaskTracker::new(),
        };
        Ok(Self {
            connections,
            flights,
            proxy,
            closing,
            threads,
        })
    }

    /// Accepts connections until `stop`.
    pub(crate) fn accept(&self, listener: TcpListener, stop: CancellationToken) -> JoinHandle<()> {
        let connections = self.connections.clone();
        let accepting = async move { connections.accept(listener, stop).await };
        match self.threads.as_ref().and_then(|threads| threads.0.as_ref()) {
            Some(runtime) => runtime.spawn(accepting),
            None => tokio::spawn(accepting),
        }
    }

    /// Ends all connections within `limit`, none before its answer if that is possible.
    pub(crate) async fn drain(self, limit: Duration) {
        let started = Instant::now();
        let left = || limit.saturating_sub(started.elapsed());
        self.flights.start_draining();
        self.closing.send_replace(true);
        self.connections.open.close();
        // Busy connections end with their next answer; idle ones may still bring a request.
        let quiet = async {
            self.flights.all_landed(left()).await;
            tokio::time::sleep_until(started + QUIET.min(limit)).await;
        };
        tokio::select! {
            () = quiet => {}
            () = self.connections.open.wait() => {}
        }
        self.proxy.http_cleanup().await;
        if !self.flights.all_landed(left()).await {
            let requests = self.flights.requests();
            tracing::warn!(requests, "the drain took too long: requests are cut");
        }
        tracing::debug!(streams = self.flights.streams(), "cutting streams");
        self.connections.cut.cancel();
        self.connections.open.wait().await;
    }
}
