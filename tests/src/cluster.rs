//! Services as processes, on servers of their own: what is needed to see one of them die.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use ingot_testkit::Node;
use reqwest::{Client, StatusCode};
use serde_json::Value;
use tempfile::TempDir;

/// How long a test waits for what the cluster does by itself.
const PATIENCE: Duration = Duration::from_mins(1);
const POLL: Duration = Duration::from_millis(25);

/// What `ingot cluster` started; stopped when dropped.
#[derive(Debug)]
pub struct TestCluster {
    home: TempDir,
    counts: Vec<String>,
    environment: Vec<(String, String)>,
    variables: BTreeMap<String, String>,
    client: Client,
}

impl TestCluster {
    /// Starts a cluster with these arguments of `ingot cluster` and these settings. The programs
    /// must have been built (`cargo xtask test` does that first).
    ///
    /// # Errors
    /// It does not become ready.
    pub fn start(counts: &[&str], settings: &[(&str, &str)]) -> anyhow::Result<Self> {
        // A second call changes nothing.
        rustls::crypto::ring::default_provider()
            .install_default()
            .ok();
        let home = tempfile::tempdir()?;
        // PostgreSQL may run as another user.
        std::fs::set_permissions(home.path(), std::fs::Permissions::from_mode(0o711))?;
        let settings = settings
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let mut cluster = Self {
            home,
            counts: counts.iter().map(|it| (*it).to_owned()).collect(),
            environment: settings.collect(),
            variables: BTreeMap::new(),
            // Each request on a connection of its own, as from many clients.
            client: Client::builder()
                .timeout(Duration::from_secs(30))
                .pool_max_idle_per_host(0)
                .build()?,
        };
        cluster.launch()?;
        Ok(cluster)
    }

    /// Stops it, and starts it again with the same data and these settings besides.
    ///
    /// # Errors
    /// It does not stop, or does not become ready again.
    pub fn restart_with(&mut self, settings: &[(&str, &str)]) -> anyhow::Result<()> {
        let output = self.ingot(&["down"])?;
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "it does not stop: {errors}");
        let settings = settings.iter();
        let settings = settings.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        self.environment.extend(settings);
        self.launch()
    }

    fn launch(&mut self) -> anyhow::Result<()> {
        let mut arguments = vec!["cluster", "--detach"];
        arguments.extend(self.counts.iter().map(String::as_str));
        let output = self.ingot(&arguments)?;
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "no cluster: {errors}");
        let stack = ingot_standalone::read_variables(&self.data().join("stack.env"))?;
        self.variables = stack.into_iter().collect();
        Ok(())
    }

    /// Its data folder.
    pub fn data(&self) -> PathBuf {
        self.home.path().join(".ingot")
    }

    /// A variable of its `stack.env`; empty when there is none of that name.
    pub fn variable(&self, name: &str) -> &str {
        self.variables.get(name).map_or("", String::as_str)
    }

    /// All variables of its `stack.env`.
    pub fn variables(&self) -> impl Iterator<Item = (&str, &str)> {
        self.variables
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// URL of a path at the first edge.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.variable("BASE_URL"))
    }

    /// An administrator's GET of a path at the first edge: status and body, which is null when it
    /// is no JSON.
    ///
    /// # Errors
    /// No answer.
    pub async fn get(&self, path: &str) -> anyhow::Result<(StatusCode, Value)> {
        let request = self.client.get(self.url(path));
        let answer = request
            .bearer_auth(self.variable("API_KEY"))
            .send()
            .await
            .with_context(|| format!("GET {path}"))?;
        Ok((answer.status(), answer.json().await.unwrap_or_default()))
    }

    /// Whether all processes of a service (`API`, `RECORDS_PROXY`) say that they are ready.
    pub async fn is_ready(&self, service: &str) -> bool {
        let addresses = self.variable(&format!("{service}_HEALTH_ADDRESSES"));
        for address in addresses.split(',') {
            let answer = self.client.get(format!("http://{address}/readyz")).send();
            if !answer.await.is_ok_and(|answer| answer.status() == 200) {
                return false;
            }
        }
        true
    }

    /// The metrics of all processes of a service, one after the other.
    ///
    /// # Errors
    /// No answer.
    pub async fn metrics(&self, service: &str) -> anyhow::Result<String> {
        let addresses = self.variable(&format!("{service}_HEALTH_ADDRESSES"));
        let mut all = String::new();
        for address in addresses.split(',') {
            let metrics = self.client.get(format!("http://{address}/metrics"));
            all += &metrics.send().await?.error_for_status()?.text().await?;
        }
        Ok(all)
    }

    /// The same in the form that has exemplars.
    ///
    /// # Errors
    /// No answer, or one in another form.
    pub async fn open_metrics(&self, service: &str) -> anyhow::Result<String> {
        let addresses = self.variable(&format!("{service}_HEALTH_ADDRESSES"));
        let mut all = String::new();
        for address in addresses.split(',') {
            let metrics = self.client.get(format!("http://{address}/metrics"));
            // As Prometheus asks.
            let accept = "application/openmetrics-text;version=1.0.0;q=0.6,text/plain;q=0.5";
            let metrics = metrics.header("accept", accept).send().await?;
            let form = metrics.headers().get("content-type").cloned();
            let form = form.as_ref().and_then(|form| form.to_str().ok());
            anyhow::ensure!(
                form.is_some_and(|form| form.starts_with("application/openmetrics-text")),
                "{form:?}"
            );
            all += &metrics.error_for_status()?.text().await?;
        }
        Ok(all)
    }

    /// A script of `clients/` that is told this cluster's `stack.env` as variables.
    pub fn script(&self, path: &str) -> Node {
        let script = Node::script(path);
        self.variables()
            .fold(script, |script, (name, value)| script.env(name, value))
    }

    /// The process id in a file, or in the file that a `*_PIDFILE` variable names.
    ///
    /// # Errors
    /// There is none.
    pub fn pid(&self, pid_file: &str) -> anyhow::Result<i32> {
        let named = self.variable(pid_file);
        let file = if named.is_empty() { pid_file } else { named };
        let text = std::fs::read_to_string(file).with_context(|| file.to_owned())?;
        Ok(text.trim().parse()?)
    }

    /// Kills that process outright. The cluster starts it again after two seconds, a private
    /// server at once.
    ///
    /// # Errors
    /// There is no such process.
    pub fn kill(&self, pid_file: &str) -> anyhow::Result<i32> {
        self.signal(pid_file, "-KILL")
    }

    /// Asks that process to end. The cluster starts it again as after [`TestCluster::kill`].
    ///
    /// # Errors
    /// There is no such process.
    pub fn terminate(&self, pid_file: &str) -> anyhow::Result<i32> {
        self.signal(pid_file, "-TERM")
    }

    /// Sends that process a signal, such as `-USR1`.
    ///
    /// # Errors
    /// There is no such process.
    pub fn signal(&self, pid_file: &str, signal: &str) -> anyhow::Result<i32> {
        let pid = self.pid(pid_file)?;
        Self::signal_process(pid, signal).with_context(|| pid_file.to_owned())?;
        Ok(pid)
    }

    /// Sends a signal, such as `-STOP`, to a process.
    ///
    /// # Errors
    /// There is no such process.
    pub fn signal_process(pid: i32, signal: &str) -> anyhow::Result<()> {
        let done = Command::new("kill")
            .args([signal, &pid.to_string()])
            .status()?;
        ensure!(done.success(), "no process {pid}");
        Ok(())
    }

    /// Starts nothing again until the answer is dropped, so that a test has time to look.
    ///
    /// # Errors
    /// The cluster does not run.
    pub fn pause_restarts(&self) -> anyhow::Result<PausedRestarts> {
        let service = self.pid("EDGE_PIDFILE")?;
        let status = std::fs::read_to_string(format!("/proc/{service}/status"))?;
        let parent = status.lines().find_map(|it| it.strip_prefix("PPid:"));
        let supervisor = parent.context("the edge has no parent")?.trim().parse()?;
        Self::signal_process(supervisor, "-STOP")?;
        Ok(PausedRestarts { supervisor })
    }

    /// Waits until another process has taken the place of `pid`.
    ///
    /// # Errors
    /// None does.
    pub async fn successor_of(&self, pid: i32, pid_file: &str) -> anyhow::Result<i32> {
        let begin = Instant::now();
        loop {
            match self.pid(pid_file) {
                Ok(now) if now != pid => return Ok(now),
                _ if begin.elapsed() > PATIENCE => bail!("{pid_file}: nothing follows {pid}"),
                _ => tokio::time::sleep(POLL).await,
            }
        }
    }

    fn ingot(&self, arguments: &[&str]) -> anyhow::Result<Output> {
        let program = program("ingot")?;
        Command::new(&program)
            .args(arguments)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            // Tests run side by side.
            .env("PORT", "0")
            .envs(self.environment.iter().cloned())
            .current_dir(self.home.path())
            .output()
            .with_context(|| format!("{} is not built", program.display()))
    }
}

/// See [`TestCluster::pause_restarts`].
#[derive(Debug)]
pub struct PausedRestarts {
    supervisor: i32,
}

impl Drop for PausedRestarts {
    fn drop(&mut self) {
        TestCluster::signal_process(self.supervisor, "-CONT").ok();
    }
}

impl Drop for TestCluster {
    fn drop(&mut self) {
        // Without it the processes would outlive the test.
        self.ingot(&["down"]).ok();
    }
}

/// Whether a process runs. One that has ended and that nobody has reaped yet does not.
pub fn is_running(pid: i32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| {
        stat.rsplit_once(") ")
            .is_some_and(|(_, state)| !state.starts_with('Z'))
    })
}

/// Asks until there is an answer; an error that stays is told after a minute.
///
/// # Errors
/// The last error of `ask`.
pub async fn eventually<T>(mut ask: impl AsyncFnMut() -> anyhow::Result<T>) -> anyhow::Result<T> {
    let begin = Instant::now();
    loop {
        match ask().await {
            Err(error) if begin.elapsed() > PATIENCE => return Err(error),
            Err(_) => tokio::time::sleep(POLL).await,
            answer => return answer,
        }
    }
}

/// A program beside this one, or beside the folder of the test programs.
pub(crate) fn program(name: &str) -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe()?;
    own.ancestors()
        .skip(1)
        .take(2)
        .map(|folder| folder.join(name))
        .find(|program| program.is_file())
        .with_context(|| format!("`{name}` is not built: run `cargo build --workspace --bins`"))
}
