//! The edge: the one address that clients talk to.
//!
//! It decides which project a request belongs to (by host) and which service answers it (by the
//! route table), marks it, balances it over healthy processes, and enforces what holds for every
//! request: CORS, body limits, the rate limit. It knows nothing about tables or tokens.
//!
//! A request's journey is in `gateway`; how the process starts and stops is here.

mod access_log;
mod admission;
mod answer;
mod budget;
mod client_address;
mod client_stream;
mod cors;
mod drain;
mod exchange;
mod forward;
mod gateway;
mod headers;
mod limit;
mod listener;
mod passage;
mod plain_stream;
mod project;
mod proxy_protocol;
mod routes;
mod session;
mod settings;
mod tls;
mod trace;
mod traffic;
mod tunnel;
mod upstream;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use ingot_bus::Bus;
use ingot_config::Hops;
use ingot_http::Health;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use settings::{Config, ListenSettings, RequestSettings, TlsSettings, UpstreamSettings};

use drain::Flights;
use gateway::Gateway;
use limit::RateLimit;
use routes::Service;
use tls::Tls;
use traffic::Traffic;
use upstream::{Pool, Schedule, Timeouts};

/// Serves until `shutdown`, then finishes what is under way.
///
/// # Errors
/// An address that cannot be listened on, a setting that cannot be used.
pub async fn serve(config: Config, shutdown: CancellationToken) -> anyhow::Result<()> {
    Edge::bind(config).await?.run(shutdown).await
}

/// Reads the files that the settings name, as a start would.
///
/// # Errors
/// A file that cannot be used; the message names it.
pub fn check_files(config: &Config) -> anyhow::Result<()> {
    match config.tls.port {
        Some(_) => Tls::new(&config.tls).map(drop),
        None => Ok(()),
    }
}

/// An edge whose addresses are taken, but which does not answer yet.
pub struct Edge {
    config: Config,
    public: TcpListener,
    secure: Option<(TcpListener, Tls)>,
    admin: TcpListener,
}

impl Edge {
    /// Takes the addresses.
    ///
    /// # Errors
    /// An address is in use or not ours.
    pub async fn bind(config: Config) -> anyhow::Result<Self> {
        let listen = &config.listen;
        let public = listener::bind(listen.address, listen.port, "PORT").await?;
        let secure = match config.tls.port {
            None => None,
            Some(port) => {
                let listener = listener::bind(listen.address, port, "INGOT_EDGE_TLS_PORT");
                Some((listener.await?, Tls::new(&config.tls)?))
            }
        };
        let admin = (listen.admin.ip(), listen.admin.port());
        let admin = listener::bind(admin.0, admin.1, "INGOT_EDGE_ADMIN_LISTEN").await?;
        Ok(Self {
            config,
            public,
            secure,
            admin,
        })
    }

    /// Where clients connect to for HTTPS, if they can.
    ///
    /// # Errors
    /// The listener is gone.
    pub fn secure_address(&self) -> Option<std::io::Result<SocketAddr>> {
        let (listener, _) = self.secure.as_ref()?;
        Some(listener.local_addr())
    }

    /// Where clients connect to.
    ///
    /// # Errors
    /// The listener is gone.
    pub fn public_address(&self) -> std::io::Result<SocketAddr> {
        self.public.local_addr()
    }

    /// Where health and metrics are.
    ///
    /// # Errors
    /// The listener is gone.
    pub fn admin_address(&self) -> std::io::Result<SocketAddr> {
        self.admin.local_addr()
    }

    /// Serves until `shutdown`, then drains: not ready at once, no new connections, requests
    /// under way finish, streams are cut last.
    ///
    /// # Errors
    /// A setting that cannot be used.
    pub async fn run(self, shutdown: CancellationToken) -> anyhow::Result<()> {
        let Self {
            config,
            public,
            secure,
            admin,
        } = self;
        warn_when_exposed(&config.request.trust_proxy);
        let stop_background = CancellationToken::new();
        let pools = pools(&config.upstream);
        let health = health(&pools);
        let request = &config.request;
        let limit = RateLimit::new(
            request.rate_limit,
            request.rate_window.0,
            request.rate_addresses,
        );
        let limit = Arc::new(limit);
        let flights = Arc::new(Flights::default());
        let gateway = Gateway::new(
            &config,
            pools.clone(),
            Arc::clone(&limit),
            Arc::clone(&flights),
        )?;
        let bus = Bus::connect(&config.bus, "ingot-edge").await?;

        let background = TaskTracker::new();
        let schedule = Schedule {
            check: Duration::from_millis(config.upstream.check_ms.max(1)),
            resolve: config.upstream.resolve.0,
        };
        let realtime = pools.get(Service::Realtime.index()).cloned();
        if let Some(pool) = realtime {
            background.spawn(upstream::feel(pool, stop_background.clone()));
        }
        for pool in pools {
            background.spawn(upstream::watch(pool, schedule, stop_background.clone()));
        }
        background.spawn(share_counts(limit, bus, stop_background.clone()));
        let (budget, stop) = (Arc::clone(&gateway.budget), stop_background.clone());
        background.spawn(async move { budget.watch(stop).await });
        background.spawn(serve_admin(admin, health.clone(), stop_background.clone()));

        let traffic = Traffic::new(&config, &gateway, flights)?;
        tracing::info!(address = %public.local_addr()?, "listening");
        let stop_accepting = CancellationToken::new();
        let mut accepting = JoinSet::new();
        traffic.accept(public, None, &stop_accepting, &mut accepting)?;
        if let Some((listener, tls)) = secure {
            tracing::info!(address = %listener.local_addr()?, "listening for HTTPS");
            traffic.accept(listener, Some(&tls), &stop_accepting, &mut accepting)?;
            background.spawn(tls.follow_files(stop_background.clone()));
        }
        shutdown.cancelled().await;
        health.start_draining();
        tokio::time::sleep(config.listen.drain_delay.0).await;
        stop_accepting.cancel();
        while let Some(ended) = accepting.join_next().await {
            ended.context("an accept loop failed")?;
        }
        traffic.drain(config.listen.drain_timeout.0).await;

        stop_background.cancel();
        background.close();
        background.wait().await;
        Ok(())
    }
}

fn pools(settings: &UpstreamSettings) -> [Arc<Pool>; Service::ALL.len()] {
    let timeouts = Timeouts {
        connect: Duration::from_millis(settings.connect_ms),
        silence: settings.silence.0,
    };
    Service::ALL.map(|service| {
        let targets = match service {
            Service::Api => &settings.api,
            Service::Records => &settings.records,
            Service::Migration => &settings.migration,
            Service::Realtime => &settings.realtime,
        };
        Arc::new(Pool::new(service.name(), targets.clone(), timeouts))
    })
}

/// The edge is ready while it can reach any service. One service that is away must not take the
/// others off the network: its prefix alone answers 503.
fn health(pools: &[Arc<Pool>; Service::ALL.len()]) -> Health {
    let pools = pools.clone();
    Health::new(vec![(
        "upstreams",
        Box::new(move || {
            let any = pools.iter().any(|pool| pool.census().0 > 0);
            let result = if any {
                Ok(())
            } else {
                Err("no service behind the edge is ready".to_owned())
            };
            Box::pin(async move { result })
        }),
    )])
}

async fn serve_admin(listener: TcpListener, health: Health, stop: CancellationToken) {
    let server = axum::serve(listener, health.router());
    let server = server.with_graceful_shutdown(async move { stop.cancelled().await });
    if let Err(error) = server.await {
        tracing::error!(%error, "health and metrics are no longer served");
    }
}

async fn share_counts(limit: Arc<RateLimit>, bus: Bus, stop: CancellationToken) {
    if let Err(error) = limit::gossip::gossip(limit, bus, stop).await {
        tracing::error!(%error, "this edge counts the rate limit alone");
    }
}

fn warn_when_exposed(trust: &Hops) {
    match trust {
        Hops::Count(0) => {}
        Hops::Count(hops) => tracing::info!(
            hops,
            "X-Forwarded-For is believed; set TRUST_PROXY=0 if clients connect directly"
        ),
        Hops::All => {
            tracing::warn!("TRUST_PROXY=true believes whatever a client says about its address");
        }
        Hops::Networks(networks) => {
            tracing::info!(?networks, "X-Forwarded-For is believed from these networks");
        }
    }
}
