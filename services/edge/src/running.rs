//! An edge at work: how it begins to serve, takes over changed settings, and ends, because it is
//! asked to or because another process has taken its place.

use std::os::fd::AsFd;
use std::sync::Arc;

use anyhow::Context;
use arc_swap::ArcSwap;
use ingot_http::Health;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::admin::Admin;
use crate::generation::{Generation, Pools, is_any_ready};
use crate::handover::Offer;
use crate::settings::Config;
use crate::tls::Tls;
use crate::{Edge, reload, warn_when_exposed};

/// One that serves.
pub(crate) struct Running {
    listeners: Listeners,
    now: Generation,
    /// Generations that end what they have begun.
    former: JoinSet<anyhow::Result<()>>,
    ending: CancellationToken,
    /// For a process that follows.
    offer: Option<Offer>,
    pools: Arc<ArcSwap<Pools>>,
    health: Health,
    admin: Admin,
}

/// Why it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// It is asked to.
    Asked,
    /// Another process serves in its place.
    Followed,
}

impl Running {
    /// Begins to serve, in the place of the process before this one where there is one.
    ///
    /// # Errors
    /// A setting that cannot be used, or no service is ready while the process before this one
    /// still serves. That one goes on then.
    pub(crate) async fn begin(edge: Edge) -> anyhow::Result<Self> {
        let Edge {
            config,
            public,
            secure,
            admin,
            predecessor,
        } = edge;
        warn_when_exposed(&config.request.trust_proxy);
        let (secure, tls) = secure.unzip();
        let listeners = Listeners {
            public: public.into_std()?,
            secure: secure.map(TcpListener::into_std).transpose()?,
        };
        let upgrade_socket = config.listen.upgrade_socket.clone();
        let mut now = Generation::prepare(config, None).await?;
        if let Some(predecessor) = &predecessor {
            now.must_reach_somebody(predecessor).await?;
        }
        let copies = listeners.copies(&admin)?;
        let (offer, following) = match (predecessor, upgrade_socket) {
            (Some(predecessor), _) => (None, Some((predecessor, copies))),
            // A first process has nobody to fall back on: a path that is wrong is told before it
            // serves.
            (None, Some(path)) => (Some(Offer::at(&path, copies)?), None),
            (None, None) => (None, None),
        };
        let pools = Arc::new(ArcSwap::from_pointee(now.pools.clone()));
        let health = health(Arc::clone(&pools));
        let admin = Admin::serve(admin, &health);
        listeners.open_to(&mut now, tls)?;
        let offer = match following {
            Some((predecessor, copies)) => predecessor.replace(copies).await,
            None => offer,
        };
        Ok(Self {
            listeners,
            now,
            former: JoinSet::new(),
            ending: CancellationToken::new(),
            offer,
            pools,
            health,
            admin,
        })
    }

    /// Serves with the settings that come, until it has to end.
    ///
    /// # Errors
    /// A former generation has not ended as it should.
    pub(crate) async fn change(
        &mut self,
        changed: &mut mpsc::Receiver<Config>,
        shutdown: &CancellationToken,
    ) -> anyhow::Result<End> {
        let Self {
            listeners,
            now,
            former,
            ending,
            offer,
            pools,
            ..
        } = self;
        // For as long as it takes: a change of settings does not interrupt it.
        let mut ended = Box::pin(ended(offer.as_ref(), shutdown));
        loop {
            let config = tokio::select! {
                biased;
                why = &mut ended => return Ok(why),
                Some(ended) = former.join_next() => {
                    ended.context("former settings")??;
                    continue;
                }
                Some(config) = changed.recv() => config,
            };
            let config = reload::keep_listeners(&now.config, config);
            let next = tokio::select! {
                biased;
                why = &mut ended => return Ok(why),
                next = listeners.next(config, now) => next,
            };
            match next {
                Ok(next) => {
                    pools.store(Arc::new(next.pools.clone()));
                    let before = std::mem::replace(now, next);
                    former.spawn(before.retire(ending.clone()));
                    tracing::info!("changed settings are in use");
                }
                Err(error) => reload::refuse(&format!("{error:#}")),
            }
        }
    }

    /// Finishes what is under way, and ends.
    ///
    /// # Errors
    /// A part of it has not ended as it should.
    pub(crate) async fn end(mut self, why: End) -> anyhow::Result<()> {
        self.ending.cancel();
        // Whoever accepts has copies, and closes them when nobody waits any more. One that stayed
        // open here would take connections that nobody answers.
        drop(self.listeners);
        match why {
            End::Followed => {
                tracing::info!("a new process serves: this one ends what it has begun");
                // There is a ready edge at this address, and whoever asks next is answered by it.
                drop(self.offer);
                let (ended, ()) =
                    tokio::join!(self.now.stop_at_once(), self.admin.leave_to_another());
                ended?;
            }
            End::Asked => {
                self.health.start_draining();
                if let Some(offer) = self.offer {
                    offer.withdraw();
                }
                self.now.stop().await?;
            }
        }
        while let Some(ended) = self.former.join_next().await {
            ended.context("former settings")??;
        }
        self.admin.stop().await.context("health and metrics")
    }
}

async fn ended(offer: Option<&Offer>, shutdown: &CancellationToken) -> End {
    let followed = async {
        match offer {
            Some(offer) => offer.taken().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        biased;
        () = shutdown.cancelled() => End::Asked,
        () = followed => End::Followed,
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
