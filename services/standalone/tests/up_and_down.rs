//! The `ingot` program as a person uses it.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a failed step of a test is a failed test"
)]

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// A data folder, and nothing left running when the test ends, however it ends.
struct Installation(TempDir);

impl Installation {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let everybody = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(home.path(), everybody).unwrap();
        Self(home)
    }

    fn data(&self) -> PathBuf {
        self.0.path().join(".ingot")
    }

    fn ingot(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_ingot"))
            .args(arguments)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            // Tests run side by side.
            .env("PORT", "0")
            .current_dir(self.0.path())
            .output()
            .unwrap()
    }

    fn ingot_must(&self, arguments: &[&str]) -> String {
        let output = self.ingot(arguments);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {errors}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn stack(&self) -> BTreeMap<String, String> {
        let text = std::fs::read_to_string(self.data().join("stack.env")).unwrap();
        text.lines()
            .map(|line| line.split_once('=').unwrap())
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    }
}

impl Drop for Installation {
    fn drop(&mut self) {
        self.ingot(&["down"]);
    }
}

fn mode(file: &Path) -> u32 {
    std::fs::metadata(file).unwrap().permissions().mode() & 0o777
}

async fn health(base_url: &str) -> Option<reqwest::StatusCode> {
    let answer = reqwest::get(format!("{base_url}/api/health")).await.ok()?;
    Some(answer.status())
}

#[tokio::test]
async fn up_answers_keeps_its_secrets_and_goes_down() {
    rustls::crypto::ring::default_provider()
        .install_default()
        .ok();
    let here = Installation::new();
    let said = here.ingot_must(&["up", "--detach"]);
    let stack = here.stack();
    let url = &stack["BASE_URL"];
    for shown in [
        "BASE_URL",
        "ADMIN_USERNAME",
        "ADMIN_PASSWORD",
        "API_KEY",
        "ANON_KEY",
    ] {
        assert!(said.contains(&stack[shown]), "{shown} is not in: {said}");
    }
    assert_eq!(mode(&here.data().join("stack.env")), 0o600);
    assert_eq!(mode(&here.data().join("secrets.env")), 0o600);
    assert_eq!(health(url).await, Some(reqwest::StatusCode::OK));
    for pid_file in stack.iter().filter(|(name, _)| name.ends_with("_PIDFILE")) {
        let pid = std::fs::read_to_string(pid_file.1).unwrap();
        assert!(Path::new("/proc").join(pid.trim()).exists(), "{pid_file:?}");
    }

    let again = here.ingot(&["up"]);
    let complaint = String::from_utf8_lossy(&again.stderr);
    assert!(
        !again.status.success() && complaint.contains("runs already"),
        "{complaint}"
    );

    here.ingot_must(&["down"]);
    assert_eq!(health(url).await, None);
    assert!(!here.data().join("stack.env").exists());

    here.ingot_must(&["up", "--detach"]);
    let second = here.stack();
    for kept in ["API_KEY", "ANON_KEY", "ADMIN_PASSWORD", "DATABASE_URL"] {
        assert_eq!(second[kept], stack[kept], "{kept}");
    }
    assert_eq!(
        health(&second["BASE_URL"]).await,
        Some(reqwest::StatusCode::OK)
    );
}

#[test]
fn down_where_nothing_runs_is_no_error() {
    let here = Installation::new();
    here.ingot_must(&["down"]);
}

#[test]
fn a_misspelt_setting_is_named() {
    let here = Installation::new();
    let output = Command::new(env!("CARGO_BIN_EXE_ingot"))
        .arg("up")
        .env("INGOT_PROT", "7130")
        .env_remove("INGOT_TEST_SERVERS")
        .current_dir(here.0.path())
        .output()
        .unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("INGOT_PROT"));
}

#[test]
fn every_setting_is_listed() {
    let here = Installation::new();
    let table = here.ingot_must(&["settings", "--markdown"]);
    for variable in [
        "`PORT`",
        "`JWT_SECRET`",
        "`INGOT_UPSTREAM_API`",
        "`NATS_URL`",
    ] {
        assert!(table.contains(variable), "{variable}");
    }
}
