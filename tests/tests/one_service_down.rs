//! One process dies: the others stay up, its prefix answers 503 in the envelope, and it returns.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a failed step of a test is a failed test"
)]

use anyhow::ensure;
use ingot_e2e::{TestCluster, eventually};
use reqwest::StatusCode;
use serde_json::Value;

const ONE_OF_EACH: [&str; 10] = [
    "--edges",
    "1",
    "--api",
    "1",
    "--records",
    "1",
    "--fanout",
    "1",
    "--relays",
    "1",
];

/// What clients see of a service: a path that it answers.
const DOORS: [(&str, &str); 4] = [
    ("API", "/api/health"),
    ("RECORDS_PROXY", "/api/database/records/nothing_here"),
    ("MIGRATION", "/api/database/migrations"),
    ("REALTIME_FANOUT", "/socket.io/?EIO=4&transport=polling"),
];

const SERVICES: [&str; 6] = [
    "API",
    "RECORDS_PROXY",
    "MIGRATION",
    "REALTIME_FANOUT",
    "LISTEN_RELAY",
    "EDGE",
];

fn pid_file(service: &str) -> String {
    format!("{service}_PIDFILE")
}

fn pids(cluster: &TestCluster) -> Vec<(&'static str, i32)> {
    let pid = |service| (service, cluster.pid(&pid_file(service)).unwrap());
    SERVICES.map(pid).to_vec()
}

/// Whether it is the envelope of the contract that says 503.
fn ensure_unavailable(path: &str, status: StatusCode, body: &Value) -> anyhow::Result<()> {
    ensure!(
        status == 503
            && body["statusCode"] == 503
            && body["error"].is_string()
            && body["message"].is_string()
            && body["nextActions"].is_string(),
        "{path}: {status} {body}"
    );
    Ok(())
}

async fn ensure_open(cluster: &TestCluster, path: &str) -> anyhow::Result<()> {
    let (status, body) = cluster.get(path).await?;
    ensure!(!status.is_server_error(), "{path}: {status} {body}");
    Ok(())
}

async fn ensure_all_open(cluster: &TestCluster) -> anyhow::Result<()> {
    for (_, path) in DOORS {
        ensure_open(cluster, path).await?;
    }
    Ok(())
}

async fn ensure_all_ready(cluster: &TestCluster) -> anyhow::Result<()> {
    for service in SERVICES {
        ensure!(cluster.is_ready(service).await, "{service} is not ready");
    }
    Ok(())
}

#[tokio::test]
async fn only_its_prefix_is_down_and_it_returns() {
    let cluster = TestCluster::start(&ONE_OF_EACH, &[]).unwrap();
    ensure_all_open(&cluster).await.unwrap();
    for (service, path) in DOORS {
        let others: Vec<_> = pids(&cluster)
            .into_iter()
            .filter(|(other, _)| *other != service)
            .collect();
        let paused = cluster.pause_restarts().unwrap();
        let killed = cluster.kill(&pid_file(service)).unwrap();
        eventually(async || {
            let (status, body) = cluster.get(path).await?;
            ensure_unavailable(path, status, &body)
        })
        .await
        .unwrap();
        for (_, other) in DOORS.into_iter().filter(|(other, _)| *other != service) {
            ensure_open(&cluster, other).await.unwrap();
        }
        drop(paused);
        let after = cluster.successor_of(killed, &pid_file(service)).await;
        after.unwrap();
        eventually(|| ensure_open(&cluster, path)).await.unwrap();
        for (other, pid) in others {
            assert_eq!(cluster.pid(&pid_file(other)).unwrap(), pid, "{other}");
        }
    }
}

#[tokio::test]
async fn what_has_no_prefix_goes_unnoticed_and_returns() {
    let cluster = TestCluster::start(&ONE_OF_EACH, &[]).unwrap();
    let before = pids(&cluster);
    for pid_file in ["LISTEN_RELAY_PIDFILE", "NATS_PIDFILE"] {
        let killed = cluster.kill(pid_file).unwrap();
        ensure_all_open(&cluster).await.unwrap();
        cluster.successor_of(killed, pid_file).await.unwrap();
        eventually(|| ensure_all_ready(&cluster)).await.unwrap();
        ensure_all_open(&cluster).await.unwrap();
    }
    for (service, pid) in before
        .into_iter()
        .filter(|(name, _)| *name != "LISTEN_RELAY")
    {
        assert_eq!(cluster.pid(&pid_file(service)).unwrap(), pid, "{service}");
    }

    // Nobody answers for the edge itself; it comes back to what runs behind it.
    let killed = cluster.kill("EDGE_PIDFILE").unwrap();
    let behind = cluster.pid("API_PIDFILE").unwrap();
    cluster.successor_of(killed, "EDGE_PIDFILE").await.unwrap();
    eventually(|| ensure_all_open(&cluster)).await.unwrap();
    assert_eq!(cluster.pid("API_PIDFILE").unwrap(), behind);
}

#[tokio::test]
async fn the_database_goes_and_comes_back() {
    // A request waits for a connection as long as this.
    let settings = [("INGOT_POOL_ACQUIRE_TIMEOUT", "1")];
    let cluster = TestCluster::start(&ONE_OF_EACH, &settings).unwrap();
    let before = pids(&cluster);
    // Without its data it cannot be started again.
    let data = cluster.data().join("servers/postgres");
    let aside = data.with_extension("aside");
    std::fs::rename(&data, &aside).unwrap();
    let killed = cluster.kill("POSTGRES_PIDFILE").unwrap();

    for service in SERVICES.into_iter().filter(|name| *name != "EDGE") {
        eventually(async || {
            ensure!(!cluster.is_ready(service).await, "{service} is ready");
            Ok(())
        })
        .await
        .unwrap();
    }
    for path in ["/api/database/tables", "/api/database/records/nothing_here"] {
        let (status, body) = cluster.get(path).await.unwrap();
        ensure_unavailable(path, status, &body).unwrap();
    }
    assert_eq!(cluster.get("/api/health").await.unwrap().0, 200);

    std::fs::rename(&aside, &data).unwrap();
    let after = cluster.successor_of(killed, "POSTGRES_PIDFILE").await;
    after.unwrap();
    eventually(|| ensure_all_ready(&cluster)).await.unwrap();
    let (status, body) = cluster.get("/api/database/tables").await.unwrap();
    assert_eq!(status, 200, "{body}");
    // Nobody crashed: the processes are the same afterwards.
    assert_eq!(pids(&cluster), before);
}
