//! Services as tasks of this process.

use std::pin::Pin;

use anyhow::{Context, anyhow};
use ingot_config::Environment;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{Member, Plan, Service, Settings};

const DRAIN_DELAY: &str = "INGOT_DRAIN_DELAY";

type Serving = Pin<Box<dyn Future<Output = anyhow::Result<()>> + Send>>;

/// Running services. Dropping the value cuts them off; [`InProcess::stop`] lets them finish.
#[derive(Debug)]
pub struct InProcess {
    /// What clients are connected to; stopped first, so that what is behind still answers.
    front: Group,
    back: Group,
}

#[derive(Debug, Default)]
struct Group {
    tasks: JoinSet<(String, anyhow::Result<()>)>,
    shutdown: CancellationToken,
}

impl InProcess {
    /// Starts what the plan says; `environment` is below the settings. No service waits for edges
    /// to notice that it stops, for the edges stop before it.
    ///
    /// # Errors
    /// A setting is missing or wrong.
    pub fn start(
        plan: &Plan,
        environment: &Environment,
        settings: &Settings,
    ) -> anyhow::Result<Self> {
        let (mut front, mut back) = (Group::default(), Group::default());
        let delay = environment.get(DRAIN_DELAY).unwrap_or("0");
        let environment = environment.clone().with([(DRAIN_DELAY, delay)]);
        for member in plan.members() {
            let environment = environment.clone().with(settings.of(member, plan));
            let group = if member.is_front() {
                &mut front
            } else {
                &mut back
            };
            group.start(member, &environment)?;
        }
        Ok(Self { front, back })
    }

    /// Waits until a service ends although nobody asked it to, and says which and why.
    pub async fn failure(&mut self) -> anyhow::Error {
        tokio::select! {
            error = self.front.failure() => error,
            error = self.back.failure() => error,
        }
    }

    /// Stops the services, those that clients are connected to first, and waits for them.
    ///
    /// # Errors
    /// One of them did not end well.
    pub async fn stop(self) -> anyhow::Result<()> {
        let front = self.front.stop().await;
        let back = self.back.stop().await;
        front.and(back)
    }
}

impl Group {
    fn start(&mut self, member: &Member, environment: &Environment) -> anyhow::Result<()> {
        let name = member.name();
        let serving = service(member.service, environment, self.shutdown.clone())
            .with_context(|| name.clone())?;
        self.tasks.spawn(async move { (name, serving.await) });
        Ok(())
    }

    async fn failure(&mut self) -> anyhow::Error {
        match self.tasks.join_next().await {
            Some(Ok((name, Ok(())))) => anyhow!("{name} ended by itself"),
            Some(Ok((name, Err(error)))) => error.context(name),
            Some(Err(panic)) => anyhow!("a service failed: {panic}"),
            None => std::future::pending().await,
        }
    }

    async fn stop(mut self) -> anyhow::Result<()> {
        self.shutdown.cancel();
        let mut outcome = Ok(());
        while let Some(ended) = self.tasks.join_next().await {
            let (name, result) = ended?;
            outcome = outcome.and(result.context(name));
        }
        outcome
    }
}

/// One service, configured and about to run.
fn service(
    service: Service,
    environment: &Environment,
    shutdown: CancellationToken,
) -> anyhow::Result<Serving> {
    match service {
        Service::Edge => prepare(ingot_edge::serve, environment, shutdown),
        Service::Api => prepare(ingot_api::serve, environment, shutdown),
        Service::Migration => prepare(ingot_migration::serve, environment, shutdown),
        Service::RecordsProxy => prepare(ingot_records_proxy::serve, environment, shutdown),
        Service::RealtimeFanout => prepare(ingot_realtime_fanout::serve, environment, shutdown),
        Service::ListenRelay => prepare(ingot_listen_relay::serve, environment, shutdown),
    }
}

fn prepare<C, F>(
    serve: impl FnOnce(C, CancellationToken) -> F,
    environment: &Environment,
    shutdown: CancellationToken,
) -> anyhow::Result<Serving>
where
    C: ingot_config::Settings,
    F: Future<Output = anyhow::Result<()>> + Send + 'static,
{
    Ok(Box::pin(serve(C::load(environment)?, shutdown)))
}
