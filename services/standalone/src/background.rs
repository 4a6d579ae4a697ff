//! `--detach` and `ingot down`: starting a process that outlives this one, and stopping it.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::announcement::Stack;
use crate::console::{progress, result};
use crate::data_folder::DataFolder;

const POLL: Duration = Duration::from_millis(100);

/// Longer than all drains and the shutdown of the servers together.
const STOP_PATIENCE: Duration = Duration::from_mins(2);

/// Runs this program again with `arguments`, in the background, and waits until it is ready. What
/// it says meanwhile is shown.
///
/// # Errors
/// Something runs in the folder already, or the new process ends.
pub(crate) fn start(arguments: &[String], folder: &DataFolder) -> anyhow::Result<()> {
    // Says so when somebody else has the folder.
    drop(folder.hold()?);
    folder.clear();
    let path = folder.own_log();
    let mut options = File::options();
    options.write(true).create(true).truncate(true).mode(0o600);
    let log = options
        .open(&path)
        .with_context(|| format!("cannot write {}", path.display()))?;
    let mut child = Command::new(std::env::current_exe()?)
        .args(arguments)
        .env("NO_COLOR", "1")
        // Ctrl-C in this terminal is not for it.
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .context("cannot start the background process")?;
    let mut log = Tail::open(&path)?;
    while !folder.stack().is_file() {
        log.show()?;
        if let Some(status) = child.try_wait()? {
            log.show()?;
            bail!("it ended with {status}; see {}", path.display());
        }
        std::thread::sleep(POLL);
    }
    let stack = Stack::read(&folder.stack())?;
    result(&stack.text(&folder.stack()));
    progress("It runs in the background; `ingot down` stops it.");
    Ok(())
}

/// Stops what runs in the folder, if anything does, and waits for its end.
///
/// # Errors
/// It does not end.
pub(crate) fn stop(folder: &DataFolder) -> anyhow::Result<()> {
    let Some(pid) = folder.holder()? else {
        progress(&format!("Nothing runs in {}", folder.path().display()));
        return Ok(());
    };
    kill(Pid::from_raw(pid), Signal::SIGTERM)
        .with_context(|| format!("cannot stop process {pid}"))?;
    let begin = Instant::now();
    while folder.holder()?.is_some() {
        ensure!(
            begin.elapsed() < STOP_PATIENCE,
            "process {pid} does not end; see {}",
            folder.logs().display()
        );
        std::thread::sleep(POLL);
    }
    progress("Stopped.");
    Ok(())
}

/// Shows what is added to a log.
struct Tail {
    file: File,
    seen: u64,
}

impl Tail {
    fn open(path: &std::path::Path) -> anyhow::Result<Self> {
        let file = File::open(path)?;
        Ok(Self { file, seen: 0 })
    }

    fn show(&mut self) -> anyhow::Result<()> {
        self.file.seek(SeekFrom::Start(self.seen))?;
        let mut news = Vec::new();
        self.file.read_to_end(&mut news)?;
        // Whole lines only.
        let Some(end) = news.iter().rposition(|byte| *byte == b'\n') else {
            return Ok(());
        };
        let (lines, _rest) = news.split_at(end);
        self.seen += u64::try_from(end)? + 1;
        progress(&String::from_utf8_lossy(lines));
        Ok(())
    }
}
