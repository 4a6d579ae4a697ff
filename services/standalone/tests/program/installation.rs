//! A data folder of a test, and `ingot` in it.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use nix::unistd::{User, geteuid};
use tempfile::TempDir;

/// How long a test waits for what the program does by itself.
const PATIENCE: Duration = Duration::from_mins(2);

/// Nothing is left running when the test ends, however it ends.
pub(crate) struct Installation {
    home: TempDir,
    program: PathBuf,
    /// User and group that run it, if not ours.
    user: Option<(u32, u32)>,
}

impl Installation {
    /// Of the user who runs the test.
    pub(crate) fn ours() -> Self {
        // reqwest and others share one TLS provider; a second call changes nothing.
        rustls::crypto::ring::default_provider()
            .install_default()
            .ok();
        let home = tempfile::tempdir().unwrap();
        let everybody = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(home.path(), everybody).unwrap();
        Self {
            home,
            program: env!("CARGO_BIN_EXE_ingot").into(),
            user: None,
        }
    }

    /// Of a user without privileges: `nobody` where the test runs as root.
    pub(crate) fn of_an_ordinary_user() -> Self {
        let mut ours = Self::ours();
        if geteuid().is_root() {
            let user = User::from_name("nobody").unwrap().unwrap();
            let (uid, gid) = (user.uid.as_raw(), user.gid.as_raw());
            // The folder of the build may be closed to others.
            let program = ours.home.path().join("ingot");
            std::fs::copy(&ours.program, &program).unwrap();
            chown(ours.home.path(), Some(uid), Some(gid)).unwrap();
            (ours.program, ours.user) = (program, Some((uid, gid)));
        }
        ours
    }

    /// The user who runs it.
    pub(crate) fn uid(&self) -> u32 {
        self.user.map_or(geteuid().as_raw(), |(uid, _)| uid)
    }

    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    /// A name that needs quotes in a shell.
    pub(crate) fn data(&self) -> PathBuf {
        self.home().join("my data")
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(arguments)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("INGOT_DATA_DIR", "my data")
            // Tests run side by side.
            .env("PORT", "0")
            .env("NO_COLOR", "1")
            .current_dir(self.home());
        if let Some((uid, gid)) = self.user {
            command.uid(uid).gid(gid);
        }
        command
    }

    pub(crate) fn ingot(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    pub(crate) fn ingot_must(&self, arguments: &[&str]) -> String {
        must(self.ingot(arguments))
    }

    /// The variables of `stack.env`, as a shell reads them.
    pub(crate) fn stack(&self) -> BTreeMap<String, String> {
        let script = r#". "$0" && cut -d= -f1 "$0" | while read -r name; do
            eval "printf '%s=%s\n' \"\$name\" \"\$$name\""; done"#;
        let output = Command::new("sh")
            .args(["-c", script])
            .arg(self.data().join("stack.env"))
            .output()
            .unwrap();
        must(output)
            .lines()
            .map(|line| line.split_once('=').unwrap())
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    }

    /// All processes that `stack.env` names.
    pub(crate) fn pids(&self) -> BTreeSet<i32> {
        let stack = self.stack();
        let files = stack.iter().filter(|(name, _)| name.ends_with("_PIDFILE"));
        files
            .map(|(_, file)| std::fs::read_to_string(file).unwrap())
            .map(|pid| pid.trim().parse().unwrap())
            .collect()
    }
}

impl Drop for Installation {
    fn drop(&mut self) {
        self.ingot(&["down"]);
    }
}

pub(crate) fn must(output: Output) -> String {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// Whether a process runs; one that is dead and not yet reaped does not.
pub(crate) fn runs(pid: i32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit_once(") ").unwrap().1.starts_with('Z'))
}

pub(crate) fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !done() {
        assert!(begin.elapsed() < PATIENCE, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

pub(crate) async fn health(base_url: &str) -> Option<reqwest::StatusCode> {
    let answer = reqwest::get(format!("{base_url}/api/health")).await.ok()?;
    Some(answer.status())
}
