//! `ingot up` and `ingot cluster`: from nothing to ready, and back on Ctrl-C.

use std::time::{Duration, Instant};

use ingot_config::Environment;
use ingot_private_servers::PrivateServers;
use tokio_util::sync::CancellationToken;

use crate::announcement::{ServerUrls, Stack};
use crate::console::{progress, result};
use crate::data_folder::DataFolder;
use crate::keys::Keys;
use crate::processes::Processes;
use crate::readiness::Report;
use crate::{Counts, InProcess, Plan, Secrets, Settings, wait_until_ready};

/// Migrations of a large database may take a while.
const READY_PATIENCE: Duration = Duration::from_mins(5);

/// Pause before a private server is started again that does not start.
const REVIVE_PAUSE: Duration = Duration::from_secs(2);

/// How the services run.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Shape {
    /// All in this process.
    OneProcess,
    /// Each in a process of its own.
    Cluster(Counts),
}

enum Services {
    OneProcess(InProcess),
    Cluster(Processes),
}

/// Runs everything until `shutdown`. `show_keys` says whether whoever reads standard output may know
/// the keys.
///
/// # Errors
/// Something does not start, or a service ends by itself.
pub(crate) async fn run(
    shape: Shape,
    environment: &Environment,
    edge_port: Option<u16>,
    folder: &DataFolder,
    show_keys: bool,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let _hold = folder.hold()?;
    folder.clear();
    let begin = Instant::now();
    let home = folder.servers();
    let mut servers = tokio::select! {
        servers = PrivateServers::start_kept(&home) => servers?,
        // Dropping the start ends what was started.
        () = shutdown.cancelled() => return Ok(()),
    };
    let outcome = async {
        note_servers(folder, &servers)?;
        let secrets = Secrets::load_or_create(&folder.secrets(), environment)?;
        let installation = Installation {
            folder,
            environment,
            settings: Settings::beside(&(&servers).into(), &secrets, folder.path(), environment),
            plan: Plan::choose(shape.counts(), edge_port)?,
            secrets,
            show_keys,
            begin,
        };
        let mut services = installation.start(shape)?;
        let outcome = tokio::select! {
            result = installation.run(&mut servers) => result,
            error = services.failure() => Err(error),
            () = shutdown.cancelled() => Ok(()),
        };
        progress("Stopping");
        outcome.and(services.stop().await)
    }
    .await;
    let stopped = servers.stop().await;
    folder.clear();
    outcome?;
    Ok(stopped?)
}

impl Shape {
    fn counts(self) -> Counts {
        match self {
            // Two nodes, so that what holds for many holds from the first look on.
            Self::OneProcess => Counts {
                fanout: 2,
                ..Counts::ONE
            },
            Self::Cluster(counts) => counts,
        }
    }
}

impl Services {
    /// Processes are started again instead.
    async fn failure(&mut self) -> anyhow::Error {
        match self {
            Self::OneProcess(tasks) => tasks.failure().await,
            Self::Cluster(_) => std::future::pending().await,
        }
    }

    async fn stop(self) -> anyhow::Result<()> {
        match self {
            Self::OneProcess(tasks) => tasks.stop().await,
            Self::Cluster(processes) => {
                processes.stop().await;
                Ok(())
            }
        }
    }
}

/// What the services of this run share.
struct Installation<'a> {
    folder: &'a DataFolder,
    environment: &'a Environment,
    secrets: Secrets,
    settings: Settings,
    plan: Plan,
    show_keys: bool,
    begin: Instant,
}

impl Installation<'_> {
    fn start(&self, shape: Shape) -> anyhow::Result<Services> {
        let Self { plan, settings, .. } = self;
        if let Shape::Cluster(_) = shape {
            let processes = Processes::start(plan, settings, self.folder)?;
            return Ok(Services::Cluster(processes));
        }
        let own = i32::try_from(std::process::id())?;
        for member in plan.members() {
            self.folder.note_pid(&member.name(), own)?;
        }
        let tasks = InProcess::start(plan, self.environment, settings)?;
        Ok(Services::OneProcess(tasks))
    }

    /// Tells the world when the services are ready, and keeps the private servers alive.
    async fn run(&self, servers: &mut PrivateServers) -> anyhow::Result<()> {
        let (postgres, nats) = (servers.postgres().port(), servers.nats().port());
        self.progress(&format!(
            "PostgreSQL on port {postgres}, NATS on port {nats}"
        ));
        // Neither changes when a server starts again.
        let urls = ServerUrls::of(servers);
        tokio::try_join!(self.announce(&urls), self.watch(servers))?;
        Ok(())
    }

    async fn announce(&self, urls: &ServerUrls) -> anyhow::Result<()> {
        wait_until_ready(self.plan.members(), READY_PATIENCE, |report| {
            self.progress(&match report {
                Report::Ready(member) => format!("{} on {}", member.name(), member.address),
                Report::Waiting(why) => format!("waiting for {why}"),
            });
        })
        .await?;
        let complete = self.environment.clone().with(self.settings.complete());
        let keys = Keys::read(&complete).await?;
        let stack = Stack::describe(self.folder, urls, &self.plan, &self.secrets, &keys);
        let file = self.folder.stack();
        stack.write(&file)?;
        if self.show_keys {
            result(&stack.text(&file));
        }
        Ok(())
    }

    async fn watch(&self, servers: &mut PrivateServers) -> anyhow::Result<()> {
        loop {
            servers.any_ended().await;
            match servers.revive().await {
                Ok(revived) => tracing::warn!("{} ended and runs again", revived.join(" and ")),
                Err(error) => {
                    tracing::error!(%error, "a private server is down");
                    tokio::time::sleep(REVIVE_PAUSE).await;
                }
            }
            note_servers(self.folder, servers)?;
        }
    }

    fn progress(&self, text: &str) {
        progress(&format!(
            "{:5.1} s  {text}",
            self.begin.elapsed().as_secs_f32()
        ));
    }
}

fn note_servers(folder: &DataFolder, servers: &PrivateServers) -> anyhow::Result<()> {
    folder.note_pid("ingot", i32::try_from(std::process::id())?)?;
    if let Some(running) = servers.postgres().running() {
        folder.note_pid("postgres", running.pid())?;
    }
    if let Some(running) = servers.nats().running() {
        folder.note_pid("nats", running.pid())?;
    }
    Ok(())
}
