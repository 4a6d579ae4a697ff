//! What the edge is with one set of settings. When these change while it runs, the next generation
//! takes over the listeners, and the former one ends what it has begun.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use ingot_bus::Bus;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::direct;
use crate::drain::Flights;
use crate::gateway::Gateway;
use crate::handover::Predecessor;
use crate::limit::{self, RateLimit};
use crate::routes::Service;
use crate::settings::{Config, RequestSettings, UpstreamSettings};
use crate::tls::Tls;
use crate::traffic::Traffic;
use crate::upstream::{self, Pool, Schedule, Timeouts};

/// The members of each service.
pub(crate) type Pools = [Arc<Pool>; Service::ALL.len()];

/// Longest wait of a new generation for the first look at its services: until then the former one
/// serves.
const FIRST_LOOK: Duration = Duration::from_secs(5);

/// Longest wait for the first addresses of the services.
const FIRST_NAMES: Duration = Duration::from_secs(2);

/// One generation at work.
pub(crate) struct Generation {
    pub(crate) config: Config,
    pub(crate) pools: Pools,
    limit: Arc<RateLimit>,
    traffic: Traffic,
    accepting: JoinSet<()>,
    stop_accepting: CancellationToken,
    background: TaskTracker,
    stop_background: CancellationToken,
    /// One that comes to nothing leaves nothing running.
    _stop_at_drop: DropGuard,
}

impl Generation {
    /// Begins to look after the services of `config`; takes no connections yet. Counts of the rate
    /// limit go on where `former` has the same one.
    ///
    /// # Errors
    /// A setting that cannot be used.
    pub(crate) async fn prepare(config: Config, former: Option<&Self>) -> anyhow::Result<Self> {
        let pools = pools(&config.upstream);
        // Requests that wait already must not find that nobody is known. Without DNS, they do.
        let names = futures::future::join_all(pools.iter().map(|pool| upstream::look_up(pool)));
        let _late = tokio::time::timeout(FIRST_NAMES, names).await;
        let limit = former
            .filter(|former| counts_alike(&former.config.request, &config.request))
            .map_or_else(|| new_limit(&config.request), |it| Arc::clone(&it.limit));
        let flights = Arc::new(Flights::default());
        let gateway = Gateway::new(
            &config,
            pools.clone(),
            Arc::clone(&limit),
            Arc::clone(&flights),
        )?;
        let traffic = Traffic::new(&config, &gateway, flights)?;
        let bus = Bus::connect(&config.bus, "ingot-edge").await?;

        let (background, stop) = (TaskTracker::new(), CancellationToken::new());
        let schedule = Schedule {
            check: Duration::from_millis(config.upstream.check_ms.max(1)),
            resolve: config.upstream.resolve.0,
        };
        let realtime = pools.get(Service::Realtime.index()).cloned();
        if let Some(pool) = realtime {
            background.spawn(upstream::feel(pool, stop.clone()));
        }
        for pool in pools.clone() {
            background.spawn(upstream::watch(pool, schedule, stop.clone()));
        }
        background.spawn(share_counts(Arc::clone(&limit), bus, stop.clone()));
        background.spawn(direct::sweep(traffic.idle_connections(), stop.clone()));
        let (budget, until) = (Arc::clone(&gateway.budget), stop.clone());
        background.spawn(async move { budget.watch(until).await });
        Ok(Self {
            config,
            pools,
            limit,
            traffic,
            accepting: JoinSet::new(),
            stop_accepting: CancellationToken::new(),
            background,
            _stop_at_drop: stop.clone().drop_guard(),
            stop_background: stop,
        })
    }

    /// Waits until some service is known to be ready, though not forever.
    pub(crate) async fn first_look(&self) {
        let begun = Instant::now();
        while !is_any_ready(&self.pools) && begun.elapsed() < FIRST_LOOK {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The same for a process that is to follow another one: as long as that one is there, it
    /// serves better than this one could.
    ///
    /// # Errors
    /// No service is ready.
    pub(crate) async fn must_reach_somebody(&self, before: &Predecessor) -> anyhow::Result<()> {
        self.first_look().await;
        if !is_any_ready(&self.pools) && before.is_there() {
            bail!("no service behind this edge is ready: the process before it goes on");
        }
        Ok(())
    }

    /// Takes connections from a listener, which others may have as well.
    pub(crate) fn accept(
        &mut self,
        listener: &std::net::TcpListener,
        tls: Option<Tls>,
    ) -> anyhow::Result<()> {
        let listener = TcpListener::from_std(listener.try_clone()?)?;
        let (stop, accepting) = (&self.stop_accepting, &mut self.accepting);
        self.traffic
            .accept(listener, tls.as_ref(), stop, accepting)?;
        if let Some(tls) = tls {
            self.background
                .spawn(tls.follow_files(self.stop_background.clone()));
        }
        Ok(())
    }

    /// The next generation has taken over: takes no more connections and ends with its last one.
    /// `shutdown` ends it as well, within the time of its settings.
    pub(crate) async fn retire(mut self, shutdown: CancellationToken) -> anyhow::Result<()> {
        self.stop_accepting().await?;
        self.traffic.fade(&shutdown).await;
        self.finish().await
    }

    /// Ends everything: requests are answered, streams are cut.
    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        tokio::time::sleep(self.config.listen.drain_delay.0).await;
        self.stop_at_once().await
    }

    /// The same without the pause in which load balancers notice: others have the listeners.
    pub(crate) async fn stop_at_once(mut self) -> anyhow::Result<()> {
        self.stop_accepting().await?;
        self.finish().await
    }

    async fn stop_accepting(&mut self) -> anyhow::Result<()> {
        self.stop_accepting.cancel();
        while let Some(ended) = self.accepting.join_next().await {
            ended.context("an accept loop failed")?;
        }
        Ok(())
    }

    async fn finish(self) -> anyhow::Result<()> {
        self.traffic.drain(self.config.listen.drain_timeout.0).await;
        self.stop_background.cancel();
        self.background.close();
        self.background.wait().await;
        Ok(())
    }
}

/// Whether the edge can reach any service.
pub(crate) fn is_any_ready(pools: &Pools) -> bool {
    pools.iter().any(|pool| pool.census().0 > 0)
}

fn counts_alike(one: &RequestSettings, other: &RequestSettings) -> bool {
    let rule = |it: &RequestSettings| (it.rate_limit, it.rate_window.0, it.rate_addresses);
    rule(one) == rule(other)
}

fn new_limit(request: &RequestSettings) -> Arc<RateLimit> {
    let (most, window) = (request.rate_limit, request.rate_window.0);
    Arc::new(RateLimit::new(most, window, request.rate_addresses))
}

fn pools(settings: &UpstreamSettings) -> Pools {
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

async fn share_counts(limit: Arc<RateLimit>, bus: Bus, stop: CancellationToken) {
    if let Err(error) = limit::gossip::gossip(limit, bus, stop).await {
        tracing::error!(%error, "this edge counts the rate limit alone");
    }
}
