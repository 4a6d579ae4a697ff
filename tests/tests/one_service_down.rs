//! One service dies: the others stay up, its prefix answers 503 in the envelope, and it returns.

#![allow(
    clippy::unwrap_used,
    reason = "a failed step of a test is a failed test"
)]

use std::time::{Duration, Instant};

use ingot_e2e::TestCluster;
use reqwest::StatusCode;
use serde_json::Value;

const ONE_OF_EACH: [&str; 6] = ["--edges", "1", "--api", "1", "--relays", "1"];

async fn get(cluster: &TestCluster, path: &str) -> (StatusCode, Value) {
    let answer = reqwest::Client::new()
        .get(cluster.url(path))
        .bearer_auth(cluster.variable("API_KEY"))
        .send()
        .await
        .unwrap();
    (answer.status(), answer.json().await.unwrap_or_default())
}

/// Asks until the answer is as wanted; says the last one if it never is.
async fn until(
    cluster: &TestCluster,
    path: &str,
    wanted: impl Fn(StatusCode) -> bool,
) -> (StatusCode, Value) {
    let begin = Instant::now();
    loop {
        let (status, body) = get(cluster, path).await;
        if wanted(status) {
            return (status, body);
        }
        assert!(
            begin.elapsed() < Duration::from_secs(30),
            "{path}: {status} {body}"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn only_its_prefix_is_down_and_it_returns() {
    rustls::crypto::ring::default_provider()
        .install_default()
        .ok();
    let cluster = TestCluster::start(&ONE_OF_EACH).unwrap();
    let health = "/api/health";
    assert_eq!(get(&cluster, health).await.0, StatusCode::OK);

    cluster.kill("API_PIDFILE").unwrap();
    let (_, body) = until(&cluster, health, |status| status == 503).await;
    assert_eq!(body["statusCode"], 503, "{body}");
    assert!(
        body["error"].is_string() && body["message"].is_string(),
        "{body}"
    );
    // The migration service answers while the api service is away.
    let (status, body) = get(&cluster, "/api/database/migrations").await;
    assert_ne!(status, StatusCode::SERVICE_UNAVAILABLE, "{body}");

    until(&cluster, health, |status| status == 200).await;
}

#[tokio::test]
async fn the_database_goes_and_comes_back() {
    rustls::crypto::ring::default_provider()
        .install_default()
        .ok();
    let cluster = TestCluster::start(&ONE_OF_EACH).unwrap();
    cluster.kill("POSTGRES_PIDFILE").unwrap();
    // Nobody crashes: the processes are the same afterwards.
    let api = std::fs::read_to_string(cluster.variable("API_PIDFILE")).unwrap();
    let ready = format!("http://{}/readyz", cluster.variable("API_HEALTH_ADDRESSES"));
    let begin = Instant::now();
    loop {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let answer = reqwest::get(&ready).await.unwrap();
        if answer.status() == 200 && begin.elapsed() > Duration::from_secs(2) {
            break;
        }
        assert!(
            begin.elapsed() < Duration::from_mins(1),
            "the api does not recover"
        );
    }
    let after = std::fs::read_to_string(cluster.variable("API_PIDFILE")).unwrap();
    assert_eq!(api, after);
    assert_eq!(get(&cluster, "/api/health").await.0, StatusCode::OK);
}
