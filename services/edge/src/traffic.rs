//! Everything that happens on client connections, from the first accept to the end of the drain.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use pingora::apps::HttpServerApp;
use pingora::proxy::http_proxy;
use pingora::server::configuration::ServerConf;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Handle};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::direct::IdleConnections;
use crate::drain::Flights;
use crate::gateway::Gateway;
use crate::listener::Connections;
use crate::settings::Config;
use crate::tls::Tls;
use crate::upstream::MAX_TRIES;

/// In a drain, idle connections stay open so long: a request that is on its way through the
/// network finds somebody to answer it.
const QUIET: Duration = Duration::from_secs(1);

/// The client-facing half: connections and what is under way on them.
pub(crate) struct Traffic {
    /// Whoever accepts: one per thread of its own, or one on the threads of the process.
    lanes: Vec<Lane>,
    flights: Arc<Flights>,
    closing: watch::Sender<bool>,
    ended: CancellationToken,
    cut: CancellationToken,
    open: TaskTracker,
}

/// Accepts connections and serves them where they were accepted, with connections to the services
/// of its own: nothing on the way of a request crosses threads.
struct Lane {
    connections: Connections,
    idle: Arc<IdleConnections>,
    thread: Option<Thread>,
}

impl Traffic {
    /// The traffic of `gateway`, which counts its requests in `flights`.
    pub(crate) fn new(
        config: &Config,
        gateway: &Gateway,
        flights: Arc<Flights>,
    ) -> anyhow::Result<Self> {
        let (closing, is_closing) = watch::channel(false);
        let (cut, open) = (CancellationToken::new(), TaskTracker::new());
        let ended = CancellationToken::new();
        let threads = config.listen.threads;
        let idle_connections = config.upstream.idle_connections.div_ceil(threads.max(1));
        let conf = Arc::new(ServerConf {
            threads: 1,
            upstream_keepalive_pool_size: idle_connections,
            max_retries: MAX_TRIES,
            ..ServerConf::default()
        });
        let lane = |number| {
            let gateway = gateway.with_idle_connections(idle_connections);
            let idle = Arc::clone(&gateway.idle);
            let connections = Connections {
                closing: is_closing.clone(),
                keep_alive_seconds: gateway.keep_alive_seconds,
                ended: ended.clone(),
                cut: cut.clone(),
                open: open.clone(),
                proxy_protocol: config.listen.proxy_protocol,
                tls: None,
                gateway: Arc::new(gateway.clone()),
                proxy: Arc::new(http_proxy(&conf, gateway)),
            };
            let thread = (threads > 0).then(|| Thread::start(number)).transpose()?;
            anyhow::Ok(Lane {
                connections,
                idle,
                thread,
            })
        };
        let lanes = (0..threads.max(1)).map(lane).collect::<Result<_, _>>()?;
        Ok(Self {
            lanes,
            flights,
            closing,
            ended,
            cut,
            open,
        })
    }

    /// The idle connections of each thread.
    pub(crate) fn idle_connections(&self) -> Vec<Arc<IdleConnections>> {
        self.lanes
            .iter()
            .map(|lane| Arc::clone(&lane.idle))
            .collect()
    }

    /// Accepts connections until `stop`, over TLS if that is given. The loops are added to
    /// `accepting`.
    pub(crate) fn accept(
        &self,
        listener: TcpListener,
        tls: Option<&Tls>,
        stop: &CancellationToken,
        accepting: &mut JoinSet<()>,
    ) -> anyhow::Result<()> {
        let listener = listener.into_std()?;
        for lane in &self.lanes {
            let runtime = match &lane.thread {
                Some(thread) => thread.runtime.clone(),
                None => Handle::current(),
            };
            let (mut connections, stop) = (lane.connections.clone(), stop.clone());
            connections.tls = tls.cloned();
            let connections = Arc::new(connections);
            let _context = runtime.enter();
            let listener = TcpListener::from_std(listener.try_clone()?)?;
            accepting.spawn_on(
                async move { connections.accept(listener, stop).await },
                &runtime,
            );
        }
        Ok(())
    }

    /// Lets connections end by themselves, HTTP ones with their next answer; for as long as it takes,
    /// or until `shutdown`.
    pub(crate) async fn fade(&self, shutdown: &CancellationToken) {
        self.flights.start_draining();
        self.closing.send_replace(true);
        self.open.close();
        shutdown.run_until_cancelled(self.open.wait()).await;
    }

    /// Ends all connections within `limit`, none before its answer if that is possible.
    pub(crate) async fn drain(self, limit: Duration) {
        let started = Instant::now();
        let left = || limit.saturating_sub(started.elapsed());
        self.flights.start_draining();
        self.closing.send_replace(true);
        self.open.close();
        // Busy connections end with their next answer; idle ones may still bring a request.
        let quiet = async {
            self.flights.all_landed(left()).await;
            tokio::time::sleep_until(started + QUIET.min(limit)).await;
        };
        tokio::select! {
            () = quiet => {}
            () = self.open.wait() => {}
        }
        self.ended.cancel();
        for lane in &self.lanes {
            lane.connections.proxy.http_cleanup().await;
        }
        if !self.flights.all_landed(left()).await {
            let requests = self.flights.requests();
            tracing::warn!(requests, "the drain took too long: requests are cut");
        }
        tracing::debug!(streams = self.flights.streams(), "cutting streams");
        self.cut.cancel();
        self.open.wait().await;
    }
}

/// A thread with a runtime of its own, which ends without being waited for: the drain has emptied
/// it.
struct Thread {
    runtime: Handle,
    end: CancellationToken,
}

impl Thread {
    fn start(number: usize) -> anyhow::Result<Self> {
        let what = "cannot start the threads of INGOT_EDGE_THREADS";
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.context(what)?;
        let (handle, end) = (runtime.handle().clone(), CancellationToken::new());
        let ended = end.clone();
        std::thread::Builder::new()
            .name(format!("edge-{number}"))
            .spawn(move || runtime.block_on(ended.cancelled()))
            .context(what)?;
        Ok(Self {
            runtime: handle,
            end,
        })
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        self.end.cancel();
    }
}
