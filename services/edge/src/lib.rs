//! The edge: the one address that clients talk to.
//!
//! It decides which project a request belongs to (by host) and which service answers it (by the
//! route table), marks it, balances it over healthy processes, and enforces what holds for every
//! request: CORS, body limits, the rate limit. It knows nothing about tables or tokens.
//!
//! A request's journey is in `gateway`; how the process takes its addresses is here, what it does
//! with them until it ends in `running`.

mod access_log;
mod admin;
mod admission;
mod answer;
mod client_address;
mod client_stream;
mod cors;
mod direct;
mod drain;
mod early;
mod exchange;
mod forward;
mod gateway;
mod generation;
mod handover;
mod headers;
mod http2;
mod http2_stream;
mod limit;
mod listener;
mod passage;
mod patience;
mod plain_stream;
mod project;
mod proxy_protocol;
mod reload;
mod routes;
mod running;
mod session;
mod settings;
mod tls;
mod trace;
mod traffic;
mod tunnel;
mod upstream;

use std::net::{IpAddr, SocketAddr};

use ingot_config::Hops;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

pub use settings::{Config, ListenSettings, RequestSettings, TlsSettings, UpstreamSettings};

use handover::Predecessor;
use running::Running;
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
        if predecessor.is_some() {
            tracing::info!("taking over from a process that runs");
        }
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
        let mut running = Running::begin(self).await?;
        let why = running.change(&mut changed, &shutdown).await?;
        running.end(why).await
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
