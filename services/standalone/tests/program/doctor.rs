//! `ingot doctor` on an installation that works, and on broken ones.

use std::net::TcpListener;
use std::process::Command;

use ingot_config::Environment;
use ingot_testkit::{TestProject, TestService};
use tempfile::TempDir;

/// What it says with these settings on top of the project's, and whether it is content.
fn examine(project: &TestProject, settings: &[(&str, &str)]) -> (String, bool) {
    let environment: Environment = project.environment().with(settings.iter().copied());
    let output = Command::new(env!("CARGO_BIN_EXE_ingot"))
        .arg("doctor")
        .env_clear()
        .envs(environment.iter())
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    (said, output.status.success())
}

/// It finds this, and says how to mend it.
fn finds(project: &TestProject, settings: &[(&str, &str)], text: &str, fix: &str) {
    let (said, content) = examine(project, settings);
    assert!(!content, "{said}");
    let broken: Vec<_> = said
        .lines()
        .filter(|line| line.starts_with("BROKEN"))
        .collect();
    assert!(
        broken.iter().any(|line| line.contains(text)),
        "{text}: {said}"
    );
    assert!(said.contains(fix), "{fix}: {said}");
}

/// A port that nobody listens on.
fn nobody() -> u16 {
    let taken = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    taken.local_addr().unwrap().port()
}

async fn with_relay() -> (TestProject, TestService) {
    let project = TestProject::create().await.unwrap();
    let relay = TestService::start(&project, &[], ingot_listen_relay::serve);
    let relay = relay.await.unwrap();
    (project, relay)
}

// The program is waited for while services of this process answer it.
#[tokio::test(flavor = "multi_thread")]
async fn is_content_with_what_works() {
    let (project, relay) = with_relay().await;
    let api = TestService::start(&project, &[], ingot_api::serve);
    let api = api.await.unwrap();
    let upstream = api.address().to_string();
    let settings: Vec<_> = ["API", "RECORDS", "MIGRATION", "REALTIME"]
        .map(|service| (format!("INGOT_UPSTREAM_{service}"), upstream.clone()))
        .into();
    let settings: Vec<_> = settings
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let (said, content) = examine(&project, &settings);
    assert!(content, "{said}");
    for area in [
        "bus",
        "owner",
        "database",
        "clock",
        "extensions",
        "logins",
        "migrations",
        "relay",
        "services",
    ] {
        let line = format!("ok        {area} ");
        assert!(said.contains(&line), "{area}: {said}");
    }
    assert!(said.contains("records-proxy: 1 of 1 ready"), "{said}");
    let old = "create extension pgcrypto;
        update pg_catalog.pg_extension set extversion = '1.2' where extname = 'pgcrypto'";
    project.execute(old).await.unwrap();
    let (said, content) = examine(&project, &settings);
    assert!(content, "{said}");
    assert!(
        said.contains("doubtful  extensions  pgcrypto is installed as 1.2"),
        "{said}"
    );
    assert!(
        said.contains("fix: alter extension \"pgcrypto\" update to"),
        "{said}"
    );
    // What an edge is told.
    let mut of_an_edge = settings.clone();
    of_an_edge.push(("JWT_SECRET", ""));
    let (said, content) = examine(&project, &of_an_edge);
    assert!(content, "{said}");
    assert!(
        said.contains("services") && !said.contains("migrations"),
        "{said}"
    );
    api.stop().await.unwrap();
    relay.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn finds_wrong_settings_and_servers_that_are_away() {
    let project = TestProject::create().await.unwrap();
    let port = nobody().to_string();
    finds(
        &project,
        &[("INGOT_TYPO", "1")],
        "INGOT_TYPO",
        "settings.md",
    );
    finds(
        &project,
        &[("JWT_SECRET", "short")],
        "JWT_SECRET",
        "settings.md",
    );
    finds(
        &project,
        &[("POSTGRES_PORT", &port)],
        &format!("PostgreSQL at 127.0.0.1:{port}"),
        "correct POSTGRES_HOST",
    );
    finds(
        &project,
        &[("POSTGRES_PASSWORD", "another")],
        "cannot connect",
        "correct POSTGRES_USER",
    );
    let another = "another-key-of-a-good-length-0123456789";
    finds(
        &project,
        &[("ENCRYPTION_KEY", another)],
        "refuses",
        "ENCRYPTION_KEY",
    );
    finds(
        &project,
        &[("INGOT_UPSTREAM_API", &format!("127.0.0.1:{port}"))],
        &format!("api at 127.0.0.1:{port}"),
        "its log has more",
    );
    finds(
        &project,
        &[("INGOT_UPSTREAM_API", "nowhere.invalid:7131")],
        "nowhere.invalid",
        "look at DNS",
    );
    let away = format!("nats://127.0.0.1:{port}");
    finds(&project, &[("NATS_URL", &away)], "NATS at", "start it");
}

#[tokio::test(flavor = "multi_thread")]
async fn finds_a_bus_that_is_closed_or_keeps_nothing() {
    let project = TestProject::create().await.unwrap();
    let place = project.nats_url().rsplit_once('@').unwrap().1;
    let stranger = format!("nats://{place}");
    finds(
        &project,
        &[("NATS_URL", &stranger)],
        "no NATS server lets us in",
        "NATS_PASSWORD",
    );
    let port = nobody().to_string();
    let home = TempDir::new().unwrap();
    let mut forgetful = Command::new("nats-server")
        .args(["--addr", "127.0.0.1", "--port", &port])
        .current_dir(home.path())
        .spawn()
        .unwrap();
    let url = format!("nats://127.0.0.1:{port}");
    let place = format!("127.0.0.1:{port}");
    crate::installation::wait_until("nats-server listens", || {
        std::net::TcpStream::connect(&place).is_ok()
    });
    finds(
        &project,
        &[("NATS_URL", &url)],
        "JetStream does not",
        "enable JetStream",
    );
    forgetful.kill().unwrap();
    forgetful.wait().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn finds_what_is_wrong_inside_the_database() {
    let (project, relay) = with_relay().await;
    let id = &project.project().id;
    let too_strong = format!("alter role {id}_authenticator superuser");
    project.execute(&too_strong).await.unwrap();
    finds(&project, &[], "no login of a service", "nosuperuser");
    let sound = format!("alter role {id}_authenticator nosuperuser");
    project.execute(&sound).await.unwrap();

    relay.stop().await.unwrap();
    // PostgreSQL takes a moment to see the connection end.
    crate::installation::wait_until("the relay's lock is gone", || !examine(&project, &[]).1);
    finds(
        &project,
        &[],
        "no relay is active",
        "start ingot-listen-relay",
    );

    let older = "delete from system.schema_steps
        where number = (select max(number) from system.schema_steps)";
    project.execute(older).await.unwrap();
    finds(&project, &[], "lacks 1 steps", "ingot-migration --once");
}
