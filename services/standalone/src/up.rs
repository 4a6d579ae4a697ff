//! `ingot up` and `ingot cluster`: from nothing to ready, and back on Ctrl-C.

use std::time::{Duration, Instant};

use ingot_config::Environment;
use ingot_private_servers::PrivateServers;
use tokio_util::sync::CancellationToken;

use crate::announcement::Stack;
use crate::console::{progress, result};
use crate::data_folder::DataFolder;
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

/// Runs everything until `shutdown`.
///
/// # Errors
/// Something does not start, or a service ends by itself.
pub(crate) async fn run(
    shape: Shape,
    environment: &Environment,
    edge_port: Option<u16>,
    folder: &DataFolder,
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
        let settings = Settings::beside(&servers, &secrets, folder.path(), environment);
        let plan = Plan::choose(shape.counts(), edge_port)?;
        let stack = Stack::describe(folder, &servers, &plan, &secrets);
        let mut services = Services::start(shape, &plan, environment, &settings, folder)?;
        let outcome = tokio::select! {
            result = announce_and_watch(&mut servers, &plan, &stack, folder, begin) => result,
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
    fn start(
        shape: Shape,
        plan: &Plan,
        environment: &Environment,
        settings: &Settings,
        folder: &DataFolder,
    ) -> anyhow::Result<Self> {
        match shape {
            Shape::OneProcess => {
                let own = i32::try_from(std::process::id())?;
                for member in plan.members() {
                    folder.note_pid(&member.name(), own)?;
                }
                Ok(Self::OneProcess(InProcess::start(
                    plan,
                    environment,
                    settings,
                )?))
            }
            Shape::Cluster(_) => Ok(Self::Cluster(Processes::start(plan, settings, folder)?)),
        }
    }

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

/// Waits for the services, tells the world, and then keeps the private servers alive.
async fn announce_and_watch(
    servers: &mut PrivateServers,
    plan: &Plan,
    stack: &Stack,
    folder: &DataFolder,
    begin: Instant,
) -> anyhow::Result<()> {
    let seconds = || begin.elapsed().as_secs_f32();
    progress(&format!(
        "{:5.1} s  PostgreSQL on port {}, NATS on port {}",
        seconds(),
        servers.postgres().port(),
        servers.nats().port()
    ));
    wait_until_ready(plan.members(), READY_PATIENCE, |report| {
        progress(&match report {
            Report::Ready(member) => {
                let (name, address) = (member.name(), member.address);
                format!("{:5.1} s  {name} on {address}", seconds())
            }
            Report::Waiting(why) => format!("{:5.1} s  waiting for {why}", seconds()),
        });
    })
    .await?;
    stack.write(&folder.stack())?;
    result(&stack.text(&folder.stack()));
    loop {
        servers.any_ended().await;
        match servers.revive().await {
            Ok(revived) => tracing::warn!("{} ended and runs again", revived.join(" and ")),
            Err(error) => {
                tracing::error!(%error, "a private server is down");
                tokio::time::sleep(REVIVE_PAUSE).await;
            }
        }
        note_servers(folder, servers)?;
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
