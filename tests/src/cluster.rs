//! Services as processes, on servers of their own: what is needed to see one of them die.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, ensure};
use tempfile::TempDir;

/// What `ingot cluster` started; stopped when dropped.
#[derive(Debug)]
pub struct TestCluster {
    home: TempDir,
    variables: BTreeMap<String, String>,
}

impl TestCluster {
    /// Starts a cluster with these arguments of `ingot cluster`. The programs must have been built
    /// (`cargo xtask test` does that first).
    ///
    /// # Errors
    /// It does not become ready.
    pub fn start(counts: &[&str]) -> anyhow::Result<Self> {
        Self::start_with(counts, &[])
    }

    /// The same, with these variables in its environment.
    ///
    /// # Errors
    /// It does not become ready.
    pub fn start_with(counts: &[&str], settings: &[(&str, &str)]) -> anyhow::Result<Self> {
        let home = tempfile::tempdir()?;
        // PostgreSQL may run as another user.
        std::fs::set_permissions(home.path(), std::fs::Permissions::from_mode(0o711))?;
        let mut cluster = Self {
            home,
            variables: BTreeMap::new(),
        };
        let output = cluster
            .ingot(&[&["cluster", "--detach"], counts].concat())?
            .envs(settings.iter().copied())
            .output()
            .context("`ingot` is not built")?;
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "no cluster: {errors}");
        let stack = std::fs::read_to_string(cluster.home.path().join(".ingot/stack.env"))?;
        cluster.variables = stack
            .lines()
            .filter_map(|line| line.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        Ok(cluster)
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

    /// Kills the process whose id is in the file that a `*_PIDFILE` variable names. The cluster
    /// starts it again after two seconds.
    ///
    /// # Errors
    /// There is no such process.
    pub fn kill(&self, pid_file: &str) -> anyhow::Result<()> {
        let file = self.variable(pid_file);
        let pid = std::fs::read_to_string(file).with_context(|| format!("{pid_file}={file}"))?;
        let killed = Command::new("kill").args(["-9", pid.trim()]).status()?;
        ensure!(killed.success(), "{pid_file}: no process {pid}");
        Ok(())
    }

    fn ingot(&self, arguments: &[&str]) -> anyhow::Result<Command> {
        let mut command = Command::new(program()?);
        command
            .args(arguments)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            // Tests run side by side.
            .env("PORT", "0")
            .current_dir(self.home.path());
        Ok(command)
    }
}

impl Drop for TestCluster {
    fn drop(&mut self) {
        // Without it the processes would outlive the test.
        if let Ok(mut down) = self.ingot(&["down"]) {
            down.output().ok();
        }
    }
}

/// `ingot` beside the folder of the test programs.
fn program() -> anyhow::Result<PathBuf> {
    let test = std::env::current_exe()?;
    let folder = test.ancestors().nth(2).context("no target folder")?;
    Ok(folder.join("ingot"))
}
