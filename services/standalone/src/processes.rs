//! Services as processes of their own, started again when they end.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, ensure};
use ingot_private_servers::{Running, Signal, guarded_command};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::data_folder::DataFolder;
use crate::{Plan, Service, Settings};

/// Pause before a process is started again; doubled each time up to the longest.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// After so long a life, the next end counts as the first.
const HEALTHY_AFTER: Duration = Duration::from_secs(30);
/// A little longer than any drain.
const STOP_PATIENCE: Duration = Duration::from_secs(40);

/// Running processes. They end with this value, and with this process.
#[derive(Debug)]
pub(crate) struct Processes {
    front: Group,
    back: Group,
}

#[derive(Debug, Default)]
struct Group {
    keepers: JoinSet<()>,
    shutdown: CancellationToken,
}

impl Processes {
    /// Starts what the plan says, with the programs in the folder of this one.
    ///
    /// # Errors
    /// A program is missing.
    pub(crate) fn start(
        plan: &Plan,
        settings: &Settings,
        folder: &DataFolder,
    ) -> anyhow::Result<Self> {
        let (mut front, mut back) = (Group::default(), Group::default());
        for member in plan.members() {
            let keeper = Keeper {
                name: member.name(),
                program: program(member.service)?,
                variables: settings.of(member, plan),
                folder: folder.clone(),
            };
            let group = if member.is_front() {
                &mut front
            } else {
                &mut back
            };
            group.keepers.spawn(keeper.keep(group.shutdown.clone()));
        }
        Ok(Self { front, back })
    }

    /// Stops them, those that clients are connected to first.
    pub(crate) async fn stop(self) {
        for group in [self.front, self.back] {
            group.shutdown.cancel();
            group.keepers.join_all().await;
        }
    }
}

/// The program of a service: it is built into the same folder as this one.
fn program(service: Service) -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe().context("cannot find my own program")?;
    let folder = own.parent().unwrap_or(Path::new("/"));
    let program = folder.join(format!("ingot-{}", service.name()));
    ensure!(
        program.is_file(),
        "{} is missing: build all programs with `cargo build --workspace --bins`",
        program.display()
    );
    Ok(program)
}

/// Keeps one process running.
struct Keeper {
    name: String,
    program: PathBuf,
    variables: Vec<(String, String)>,
    folder: DataFolder,
}

impl Keeper {
    async fn keep(self, shutdown: CancellationToken) {
        let mut pause = FIRST_PAUSE;
        while !shutdown.is_cancelled() {
            let begin = Instant::now();
            if let Err(error) = self.run_once(&shutdown).await {
                tracing::error!(error = format!("{error:#}"), "{} is down", self.name);
            }
            if begin.elapsed() > HEALTHY_AFTER {
                pause = FIRST_PAUSE;
            }
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = tokio::time::sleep(pause) => pause = (pause * 2).min(LONGEST_PAUSE),
            }
        }
    }

    /// Runs the process until it ends, which is an error, or `shutdown`.
    async fn run_once(&self, shutdown: &CancellationToken) -> anyhow::Result<()> {
        let mut command = guarded_command(&self.program, "TERM")?;
        command
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .env("NO_COLOR", "1");
        let log = self.folder.logs().join(format!("{}.log", self.name));
        let process = Running::spawn(&self.name, command, log.clone(), Signal::SIGTERM).await?;
        self.folder.note_pid(&self.name, process.pid())?;
        tokio::select! {
            () = process.ended() => {}
            () = shutdown.cancelled() => {
                process.stop(Signal::SIGTERM, STOP_PATIENCE).await?;
                return Ok(());
            }
        }
        let status = process.status().map(|status| status.to_string());
        anyhow::bail!(
            "it ended with {}; see {}",
            status.unwrap_or_default(),
            log.display()
        )
    }
}
