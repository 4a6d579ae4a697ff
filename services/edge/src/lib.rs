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
mod client_address;
mod client_stream;
mod cors;
mod direct;
mod drain;
mod exchange;
mod forward;
mod gateway;
mod generation;
mod handover;
mod headers;
mod http2;
mod limit;
mod listener;
mod passage;
mod plain_stream;
mod project;
mod proxy_protocol;
mod reload;
mod routes;
mod session;
mod settings;
mod tls;
mod trace;
mod traffic;
mod tunnel;
mod upstream;

use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use arc_swap::ArcSwap;
use ingot_config::Hops;
use ingot_http::Health;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub use settings::{Config, ListenSettings, RequestSettings, TlsSettings, UpstreamSettings};

use generation::{Generation, Pools, is_any_ready};
use handover::{Offer, Predecessor};
use tls::Tls;

/// Serves until `shutdown`, then finishes what is under way.
///
/// # Errors
/// An address that cannot be listened on, a setting that cannot be used.
pub async fn serve(config: Config, shutdown: CancellationToken) -> anyhow::Result<()> {
    Edge::bind(config).await?.run(shutdown).await
}

/// The same as a process of its own, whose settings are read again after SIGHUP and when the file
/// with them has changed.
///
/// # Errors
/// As [`serve`].
pub async fn serve_changing(config: Config, shutdown: CancellationToken) -> anyhow::Result<()> {
    let changed = reload::follow()?;
    let edge = Edge::bind(config).await?;
    edge.run_changing(changed, shutdown).await
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
    predecessor: Option<Predecessor>,
}

impl Edge {
    /// Takes the addresses, from a process that this one follows where there is one.
    ///
    /// # Errors
    /// An address is in use or not ours.
    pub async fn bind(config: Config) -> anyhow::Result<Self> {
        let listen = &config.listen;
        let mut predecessor = match &listen.upgrade_socket {
            Some(path) => Predecessor::meet(path).await?,
            None => None,
        };
        let former = &mut predecessor;
        let public = listener_at(former, listen.address, listen.port, "PORT").await?;
        let secure = match config.tls.port {
            None => None,
            Some(port) => {
                let listener = listener_at(former, listen.address, port, "INGOT_EDGE_TLS_PORT");
                Some((listener.await?, Tls::new(&config.tls)?))
            }
        };
        let admin = (listen.admin.ip(), listen.admin.port());
        let admin = listener_at(former, admin.0, admin.1, "INGOT_EDGE_ADMIN_LISTEN").await?;
        Ok(Self {
            config,
            public,
            secure,
            admin,
            predecessor,
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
        // Nobody sends any.
        let (_changes, changed) = mpsc::channel(1);
        self.run_changing(changed, shutdown).await
    }

    /// The same with settings that change meanwhile. Connections stay: those that are there keep
    /// the settings that they were made with, HTTP ones end after their next answer.
    ///
    /// # Errors
    /// A setting that cannot be used, of the first ones; later ones are refused in the log.
    pub async fn run_changing(
        self,
        mut changed: mpsc::Receiver<Config>,
        shutdown: CancellationToken,
    ) -> anyhow::Result<()> {
        let Self {
            config,
            public,
            secure,
            admin,
            predecessor,
        } = self;
        warn_when_exposed(&config.request.trust_proxy);
        let (secure, tls) = secure.unzip();
        let listeners = Listeners {
            public: public.into_std()?,
            secure: secure.map(TcpListener::into_std).transpose()?,
        };
        let upgrade_socket = config.listen.upgrade_socket.clone();
        let mut now = Generation::prepare(config, None).await?;
        if predecessor.is_some() {
            now.must_reach_somebody().await?;
        }
        let pools = Arc::new(ArcSwap::from_pointee(now.pools.clone()));
        let health = health(Arc::clone(&pools));
        let stop_admin = CancellationToken::new();
        let offered = listeners.copies(&admin)?;
        let admin = tokio::spawn(serve_admin(admin, health.clone(), stop_admin.clone()));
        listeners.open_to(&mut now, tls)?;
        let offer = succeed(predecessor, upgrade_socket, offered).await?;
        let ending = shutdown.child_token();
        let mut former = JoinSet::new();
        // For as long as it takes: a change of settings does not interrupt it.
        let mut followed = Box::pin(followed(offer.as_ref()));
        let is_followed = loop {
            let config = tokio::select! {
                biased;
                () = shutdown.cancelled() => break false,
                () = &mut followed => break true,
                Some(ended) = former.join_next() => {
                    ended.context("former settings")??;
                    continue;
                }
                Some(config) = changed.recv() => config,
            };
            let config = reload::keep_listeners(&now.config, config);
            match listeners.next(config, &now).await {
                Ok(next) => {
                    pools.store(Arc::new(next.pools.clone()));
                    let before = std::mem::replace(&mut now, next);
                    former.spawn(before.retire(ending.clone()));
                    tracing::info!("changed settings are in use");
                }
                Err(error) => reload::refuse(&format!("{error:#}")),
            }
        };
        drop(followed);
        health.start_draining();
        ending.cancel();
        // Whoever accepts has copies, and closes them when nobody waits any more. One that stayed
        // open here would take connections that nobody answers.
        drop(listeners);
        if is_followed {
            tracing::info!("a new process serves: this one ends what it has begun");
            // Who asks how the edge is gets the new process's answer.
            stop_admin.cancel();
            drop(offer);
            now.stop_at_once().await?;
        } else {
            if let Some(offer) = offer {
                offer.withdraw();
            }
            now.stop().await?;
        }
        while let Some(ended) = former.join_next().await {
            ended.context("former settings")??;
        }
        stop_admin.cancel();
        admin.await.context("health and metrics")
    }
}

/// A listener of the process before this one, or a new one.
async fn listener_at(
    predecessor: &mut Option<Predecessor>,
    address: IpAddr,
    port: u16,
    setting: &str,
) -> anyhow::Result<TcpListener> {
    let taken = predecessor.as_mut().and_then(|it| it.take(address, port));
    match taken {
        Some(listener) => {
            listener.set_nonblocking(true)?;
            Ok(TcpListener::from_std(listener)?)
        }
        None => listener::bind(address, port, setting).await,
    }
}

/// Takes the place of the process before this one, and waits for one after it, if there may be one.
async fn succeed(
    predecessor: Option<Predecessor>,
    path: Option<PathBuf>,
    listeners: Vec<std::net::TcpListener>,
) -> anyhow::Result<Option<Offer>> {
    if let Some(predecessor) = predecessor {
        let relieved = predecessor.relieve().await;
        relieved.context("the process before this one does not hear that it can go")?;
    }
    path.map(|path| Offer::at(&path, listeners)).transpose()
}

/// Ends when another process has taken over.
async fn followed(offer: Option<&Offer>) {
    match offer {
        Some(offer) => offer.taken().await,
        None => std::future::pending().await,
    }
}

/// What stays when settings change.
struct Listeners {
    public: std::net::TcpListener,
    secure: Option<std::net::TcpListener>,
}

impl Listeners {
    /// Copies of all listeners, for a process that follows.
    fn copies(&self, admin: &TcpListener) -> std::io::Result<Vec<std::net::TcpListener>> {
        let admin = admin.as_fd().try_clone_to_owned()?;
        let mut copies = vec![self.public.try_clone()?, admin.into()];
        if let Some(secure) = &self.secure {
            copies.push(secure.try_clone()?);
        }
        Ok(copies)
    }

    /// A generation for changed settings that has begun to serve.
    async fn next(&self, config: Config, former: &Generation) -> anyhow::Result<Generation> {
        let tls = self.secure.as_ref().map(|_| Tls::new(&config.tls));
        let tls = tls.transpose()?;
        let mut next = Generation::prepare(config, Some(former)).await?;
        next.first_look().await;
        self.open_to(&mut next, tls)?;
        Ok(next)
    }

    fn open_to(&self, generation: &mut Generation, tls: Option<Tls>) -> anyhow::Result<()> {
        tracing::info!(address = %self.public.local_addr()?, "listening");
        generation.accept(&self.public, None)?;
        if let (Some(listener), Some(tls)) = (&self.secure, tls) {
            tracing::info!(address = %listener.local_addr()?, "listening for HTTPS");
            generation.accept(listener, Some(tls))?;
        }
        Ok(())
    }
}

/// The edge is ready while it can reach any service. One service that is away must not take the
/// others off the network: its prefix alone answers 503.
fn health(pools: Arc<ArcSwap<Pools>>) -> Health {
    Health::new(vec![(
        "upstreams",
        Box::new(move || {
            let result = if is_any_ready(&pools.load()) {
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
