//! Driving JavaScript clients: a Node script that reports JSON lines and may be told what to do.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// Folder of the scripts, with the pinned client packages.
const CLIENTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/clients");

/// Bytes of a script's error output that are kept.
const MAX_STDERR: u64 = 1 << 20;

/// A script to run.
#[derive(Debug)]
pub struct Node {
    script: PathBuf,
    variables: Vec<(String, String)>,
    timeout: Duration,
}

impl Node {
    /// A script by its path below `tests/clients`, where it can import the official clients.
    pub fn script(path: impl AsRef<Path>) -> Self {
        Self {
            script: Path::new(CLIENTS).join(path),
            variables: Vec::new(),
            timeout: Duration::from_secs(30),
        }
    }

    /// Sets a variable of the script's environment, which is otherwise empty but for PATH.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.variables.push((name.into(), value.into()));
        self
    }

    /// Longest run; the script is killed then. 30 seconds unless set.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Runs it to its end and returns the JSON values that it printed, one per line.
    ///
    /// # Errors
    /// It failed (with what it wrote to stderr), took too long, or printed something else.
    pub async fn run(self) -> anyhow::Result<Vec<Value>> {
        self.start()?.finish().await
    }

    /// Starts it, to talk with it while it runs.
    ///
    /// # Errors
    /// Node or the packages are missing.
    pub fn start(self) -> anyhow::Result<NodeProcess> {
        ensure!(
            Path::new(CLIENTS).join("node_modules").is_dir(),
            "the JavaScript clients are not installed: run `npm ci` in tests/clients"
        );
        ensure!(self.script.is_file(), "no script {}", self.script.display());
        let mut child = Command::new("node")
            .arg(&self.script)
            .current_dir(CLIENTS)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .envs(self.variables)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("cannot run `node`: install it with `apt-get install nodejs`")?;
        let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(input), Some(output), Some(errors)) = pipes else {
            bail!("node has no pipes");
        };
        let errors = tokio::spawn(async move {
            let mut text = Vec::new();
            errors.take(MAX_STDERR).read_to_end(&mut text).await.ok();
            String::from_utf8_lossy(&text).into_owned()
        });
        Ok(NodeProcess {
            name: self.script.display().to_string(),
            child,
            input: Some(input),
            output: BufReader::new(output).lines(),
            errors,
            deadline: Instant::now() + self.timeout,
        })
    }
}

/// A running script.
#[derive(Debug)]
pub struct NodeProcess {
    name: String,
    child: Child,
    /// `None` once closed: dropping it is what closes the pipe.
    input: Option<ChildStdin>,
    output: Lines<BufReader<ChildStdout>>,
    errors: JoinHandle<String>,
    deadline: Instant,
}

impl NodeProcess {
    /// The next JSON line that it prints; `None` at the end of its output.
    ///
    /// # Errors
    /// Its time is over, or the line is not JSON.
    pub async fn next(&mut self) -> anyhow::Result<Option<Value>> {
        let line = tokio::time::timeout_at(self.deadline, self.output.next_line())
            .await
            .with_context(|| format!("{} took too long", self.name))??;
        line.map(|line| {
            serde_json::from_str(&line).with_context(|| format!("{}: not JSON: {line}", self.name))
        })
        .transpose()
    }

    /// Sends it one JSON line on its standard input.
    ///
    /// # Errors
    /// It has closed its input.
    pub async fn send(&mut self, message: &Value) -> anyhow::Result<()> {
        let input = self.input.as_mut().context("its input is closed")?;
        input.write_all(format!("{message}\n").as_bytes()).await?;
        Ok(input.flush().await?)
    }

    /// Closes its input, and returns the values that it still prints until it ends.
    ///
    /// # Errors
    /// As [`Node::run`].
    pub async fn finish(mut self) -> anyhow::Result<Vec<Value>> {
        self.input.take();
        let mut values = Vec::new();
        let outcome = loop {
            match self.next().await {
                Ok(Some(value)) => values.push(value),
                Ok(None) => break tokio::time::timeout_at(self.deadline, self.child.wait()).await,
                Err(error) => {
                    self.child.kill().await.ok();
                    let errors = self.errors.await.unwrap_or_default();
                    return Err(error.context(format!("stderr: {errors}")));
                }
            }
        };
        let status = outcome.with_context(|| format!("{} took too long", self.name))??;
        let errors = self.errors.await.unwrap_or_default();
        ensure!(
            status.success(),
            "{} ended with {status} after {values:?}\n{errors}",
            self.name
        );
        Ok(values)
    }
}
