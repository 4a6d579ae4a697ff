//! One running server process: watched by a thread of its own, and never left behind.
//!
//! The kernel sends the parent-death signal when the *thread* that started a child ends. Threads
//! of an async runtime come and go, so each server gets a thread that starts it, waits for its
//! end and does nothing else.

use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::sync::watch;

use crate::Error;
use crate::error::Trying;

/// A log larger than this is begun anew at the next start.
const MAX_LOG_BYTES: u64 = 16 << 20;

/// Lines of the log that an error shows.
const LOG_TAIL_LINES: usize = 15;

/// A server process. It ends with this value, and with this process.
#[derive(Debug)]
pub struct Running {
    name: Arc<str>,
    pid: Pid,
    ended: watch::Receiver<Option<ExitStatus>>,
    log: PathBuf,
    on_drop: Signal,
}

impl Running {
    /// Starts a `command` that [`guarded_command`](crate::guarded_command) made, with its output
    /// appended to `log`. It gets a process group of its own: Ctrl-C in a terminal is for us, and
    /// we stop servers after their users. Dropping the value sends `on_drop`.
    ///
    /// # Errors
    /// The program cannot be started, or the log cannot be written.
    pub async fn spawn(
        name: &str,
        mut command: Command,
        log: PathBuf,
        on_drop: Signal,
    ) -> Result<Self, Error> {
        let output = open_log(&log).trying("write", &log)?;
        let errors = output.try_clone().trying("write", &log)?;
        command
            .process_group(0)
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors);
        let (started, is_started) = tokio::sync::oneshot::channel();
        let (end, ended) = watch::channel(None);
        std::thread::Builder::new()
            .name(format!("guard-{name}"))
            .spawn(move || match command.spawn() {
                Ok(mut child) => {
                    started.send(Ok(child.id())).ok();
                    let status = child.wait().unwrap_or_default();
                    end.send_replace(Some(status));
                }
                Err(error) => {
                    started.send(Err(error)).ok();
                }
            })
            .trying("start a thread for", Path::new(name))?;
        let pid = is_started
            .await
            .unwrap_or_else(|_| Err(io::Error::other("its thread ended")))
            .and_then(|id| i32::try_from(id).map_err(io::Error::other))
            .trying("start", Path::new(name))?;
        Ok(Self {
            name: name.into(),
            pid: Pid::from_raw(pid),
            ended,
            log,
            on_drop,
        })
    }

    /// Process id.
    pub fn pid(&self) -> i32 {
        self.pid.as_raw()
    }

    /// How it ended; `None` while it runs.
    pub fn status(&self) -> Option<ExitStatus> {
        *self.ended.borrow()
    }

    /// Waits for its end. The future does not borrow the process, so that a task may watch it.
    pub fn ended(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut ended = self.ended.clone();
        async move {
            // An error means that the guard is gone, and it goes after the process.
            ended.wait_for(Option::is_some).await.ok();
        }
    }

    /// Signals it and waits; kills it when `patience` is over.
    ///
    /// # Errors
    /// It had to be killed.
    pub async fn stop(&self, signal: Signal, patience: Duration) -> Result<(), Error> {
        self.signal(signal);
        if tokio::time::timeout(patience, self.ended()).await.is_ok() {
            return Ok(());
        }
        self.signal(Signal::SIGKILL);
        self.ended().await;
        Err(Error::Killed {
            server: self.name.to_string(),
            seconds: patience.as_secs(),
        })
    }

    /// Waits until `ready` answers true.
    pub(crate) async fn wait_until<F>(
        &self,
        patience: Duration,
        mut ready: impl FnMut() -> F,
    ) -> Result<(), Error>
    where
        F: Future<Output = bool>,
    {
        let poll = async {
            loop {
                if self.status().is_some() || ready().await {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(25)).await;
            }
        };
        let in_time = tokio::time::timeout(patience, poll).await.is_ok();
        match (in_time, self.status()) {
            (true, None) => Ok(()),
            (_, Some(status)) => Err(self.did_not_start(format!("it ended with {status}"))),
            (false, None) => {
                Err(self.did_not_start(format!("it was not ready after {} s", patience.as_secs())))
            }
        }
    }

    fn did_not_start(&self, reason: String) -> Error {
        Error::DidNotStart {
            server: self.name.to_string(),
            reason,
            log: log_tail(&self.log),
        }
    }

    fn signal(&self, signal: Signal) {
        if self.status().is_none() {
            // It may end at this very moment, which is what we want anyway.
            kill(self.pid, signal).ok();
        }
    }
}

impl Drop for Running {
    /// Ends the process without asking for success, and waits a moment for it, so that a
    /// throw-away folder can go after it.
    fn drop(&mut self) {
        self.signal(self.on_drop);
        for _ in 0..200 {
            if self.status().is_some() {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        self.signal(Signal::SIGKILL);
    }
}

fn open_log(path: &Path) -> io::Result<File> {
    let too_large = std::fs::metadata(path).is_ok_and(|meta| meta.len() > MAX_LOG_BYTES);
    if too_large {
        std::fs::remove_file(path)?;
    }
    File::options().create(true).append(true).open(path)
}

/// The last lines of a log, for an error.
pub(crate) fn log_tail(path: &Path) -> String {
    let text = std::fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let mut lines: Vec<&str> = text.lines().rev().take(LOG_TAIL_LINES).collect();
    lines.reverse();
    lines.join("\n")
}
