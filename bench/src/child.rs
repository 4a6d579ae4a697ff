//! Processes that a comparison starts: they die with it, and their CPU time can be read.

use std::fs::File;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use nix::sys::signal::{Signal, kill};
use nix::time::clock_getcpuclockid;
use nix::unistd::Pid;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

const START_PATIENCE: Duration = Duration::from_secs(20);

/// A running process; killed when dropped.
#[derive(Debug)]
pub(crate) struct Process {
    name: String,
    child: Child,
}

impl Process {
    /// Starts a program whose output goes to a file, as a service's does.
    pub(crate) fn start(
        program: &Path,
        arguments: &[&str],
        variables: &[(&str, String)],
        log: &Path,
    ) -> anyhow::Result<Self> {
        let name = program.display().to_string();
        let log = File::create(log)?;
        let child = Command::new(program)
            .args(arguments)
            .envs(variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        Ok(Self { name, child })
    }

    /// Starts this very program in another part.
    pub(crate) fn start_self(
        arguments: &[&str],
        variables: &[(&str, String)],
        log: &Path,
    ) -> anyhow::Result<Self> {
        Self::start(&std::env::current_exe()?, arguments, variables, log)
    }

    /// Waits until it accepts connections on `address`.
    pub(crate) async fn listening_on(mut self, address: SocketAddr) -> anyhow::Result<Self> {
        let deadline = Instant::now() + START_PATIENCE;
        while TcpStream::connect(address).await.is_err() {
            if let Some(status) = self.child.try_wait()? {
                bail!("{} ended at once: {status}", self.name);
            }
            if Instant::now() > deadline {
                bail!("{} does not listen on {address}", self.name);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(self)
    }

    /// Waits until it ends by itself.
    pub(crate) async fn ended(mut self) -> anyhow::Result<ExitStatus> {
        Ok(self.child.wait().await?)
    }

    /// Ends it as `kill -9` does.
    pub(crate) async fn kill(mut self) -> anyhow::Result<()> {
        Ok(self.child.kill().await?)
    }

    /// Its resident memory in bytes, from `/proc`, its children's included.
    pub(crate) fn memory(&self) -> anyhow::Result<u64> {
        let pid = self.child.id().context("the process has ended")?;
        let mut kilobytes = resident_kilobytes(pid)?;
        for child in children(pid)? {
            kilobytes += resident_kilobytes(child)?;
        }
        Ok(kilobytes * 1024)
    }

    /// CPU time that it and its children have used, ended threads included.
    pub(crate) fn cpu_time(&self) -> anyhow::Result<Duration> {
        let pid = self.child.id().context("the process has ended")?;
        let mut time = cpu_time(pid)?;
        for child in children(pid)? {
            time += cpu_time(child)?;
        }
        Ok(time)
    }
}

impl Drop for Process {
    /// Its children first: nginx's worker would stay without its master.
    fn drop(&mut self) {
        let children = self.child.id().and_then(|pid| children(pid).ok());
        for child in children.into_iter().flatten() {
            if let Ok(pid) = i32::try_from(child) {
                kill(Pid::from_raw(pid), Signal::SIGKILL).ok();
            }
        }
    }
}

fn resident_kilobytes(pid: u32) -> anyhow::Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let size = line.and_then(|line| line.split_whitespace().next());
    Ok(size.context("unexpected /proc/*/status")?.parse()?)
}

fn children(pid: u32) -> anyhow::Result<Vec<u32>> {
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
    let children = children.split_whitespace().map(str::parse);
    Ok(children.collect::<Result<_, _>>()?)
}

/// User and system time of a process by its own clock: that of `/proc` ticks a hundred times a
/// second, too coarse for what costs little.
fn cpu_time(pid: u32) -> anyhow::Result<Duration> {
    let pid = Pid::from_raw(i32::try_from(pid)?);
    Ok(clock_getcpuclockid(pid)?.now()?.into())
}
