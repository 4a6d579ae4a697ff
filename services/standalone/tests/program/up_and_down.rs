//! In the background: `up --detach` and `down`; and the commands that start nothing.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use ingot_testkit::Node;
use serde_json::json;

use crate::installation::{Installation, health, must, runs};

/// Every character that a shell might take for itself.
const PASSWORD: &str = r#"it's "$HOME" & a `blank` \"#;

fn mode(file: &Path) -> u32 {
    std::fs::metadata(file).unwrap().permissions().mode() & 0o777
}

/// A server of somebody else on this machine.
struct Foreign(Child);

impl Foreign {
    fn start() -> Self {
        let server = Command::new("nats-server")
            .args(["--addr", "127.0.0.1", "--port", "-1"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        Self(server.unwrap())
    }

    fn runs(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// Whether the administrator gets in.
async fn admin_login(base_url: &str, username: &str, password: &str) -> reqwest::StatusCode {
    let url = format!("{base_url}/api/auth/admin/sessions");
    let login = json!({ "username": username, "password": password });
    let answer = reqwest::Client::new().post(url).json(&login).send();
    answer.await.unwrap().status()
}

#[tokio::test]
async fn up_answers_keeps_its_secrets_and_goes_down() {
    let mut foreign = Foreign::start();
    let here = Installation::ours();
    let up = |arguments: &[&str]| {
        let mut command = here.command(arguments);
        command.env("ROOT_ADMIN_PASSWORD", PASSWORD);
        must(command.output().unwrap())
    };
    let said = up(&["up", "--detach"]);
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
    let log = here.data().join("logs/ingot.log");
    assert_eq!(mode(&log), 0o600);
    let logged = std::fs::read_to_string(&log).unwrap();
    assert!(logged.contains("PostgreSQL on port"), "{logged}");
    for secret in ["ADMIN_PASSWORD", "API_KEY", "ANON_KEY"] {
        assert!(!logged.contains(&stack[secret]), "{secret} is in the log");
    }
    assert_eq!(mode(&here.data().join("stack.env")), 0o600);
    assert_eq!(mode(&here.data().join("secrets.env")), 0o600);
    assert_eq!(health(url).await, Some(reqwest::StatusCode::OK));
    assert_eq!(stack["ADMIN_PASSWORD"], PASSWORD);
    let login = admin_login(url, &stack["ADMIN_USERNAME"], PASSWORD).await;
    assert_eq!(login, reqwest::StatusCode::OK);
    // The other readers understand the file as the shell does.
    let file = here.data().join("stack.env");
    let read = ingot_standalone::read_variables(&file).unwrap();
    assert_eq!(read.into_iter().collect::<BTreeMap<_, _>>(), stack);
    let script = Node::script("e2e/read-stack.mjs").env("STACK", file.display().to_string());
    assert_eq!(script.run().await.unwrap(), [json!(stack)]);
    let pids = here.pids();
    assert!(pids.len() == 3 && pids.iter().all(|pid| runs(*pid)));

    let again = here.ingot(&["up"]);
    let complaint = String::from_utf8_lossy(&again.stderr);
    assert!(
        !again.status.success() && complaint.contains("runs already"),
        "{complaint}"
    );

    here.ingot_must(&["down"]);
    assert_eq!(health(url).await, None);
    assert!(!here.data().join("stack.env").exists());
    assert!(!pids.iter().any(|pid| runs(*pid)), "{pids:?}");
    assert!(foreign.runs());

    up(&["up", "--detach"]);
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
    let here = Installation::ours();
    here.ingot_must(&["down"]);
}

#[test]
fn a_misspelt_setting_is_named() {
    let here = Installation::ours();
    let output = Command::new(env!("CARGO_BIN_EXE_ingot"))
        .arg("up")
        .env("INGOT_PROT", "7130")
        .env_remove("INGOT_TEST_SERVERS")
        .current_dir(here.home())
        .output()
        .unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("INGOT_PROT"));
}

#[test]
fn every_setting_is_listed() {
    let here = Installation::ours();
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
