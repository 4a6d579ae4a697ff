//! What the service does while PostgreSQL is away.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use ingot_api::Config;
use ingot_config::Settings;
use ingot_http::header;
use ingot_testkit::TestProject;
use reqwest::{Client, Method};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::harness::send;

/// A port that nobody listens on.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

#[tokio::test]
async fn without_a_database_it_lives_says_so_and_keeps_nobody_waiting() {
    let project = TestProject::create().await.unwrap();
    let address = format!("127.0.0.1:{}", free_port());
    let environment = project.environment().with([
        ("POSTGRES_PORT", free_port().to_string()),
        ("INGOT_POOL_ACQUIRE_TIMEOUT", "1".to_owned()),
        ("INGOT_LISTEN", address.clone()),
    ]);
    let shutdown = CancellationToken::new();
    let config = Config::load(&environment).unwrap();
    let serving = tokio::spawn(ingot_api::serve(config, shutdown.clone()));
    let client = Client::new();
    let request = |method: Method, path: &str| {
        client
            .request(method, format!("http://{address}{path}"))
            .header(header::PROJECT, project.project().id.as_str())
            .header(header::EDGE_KEY, project.edge_key().expose())
    };
    while client
        .get(format!("http://{address}/livez"))
        .send()
        .await
        .is_err()
    {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }

    let ready = send(request(Method::GET, "/readyz")).await;
    assert_eq!(ready.status, 503);
    assert!(ready.body["failed"]["database"].is_string(), "{ready:?}");
    assert_eq!(send(request(Method::GET, "/api/health")).await.status, 200);
    let keys = send(request(Method::GET, "/.well-known/jwks.json")).await;
    assert_eq!((keys.status, keys.body), (200, json!({ "keys": [] })));
    let body = json!({ "email": "ann@example.com", "password": "correct horse" });
    for attempt in [
        request(Method::POST, "/api/auth/sessions").json(&body),
        request(Method::POST, "/api/auth/users")
            .bearer_auth("anon_x")
            .json(&body),
        request(Method::GET, "/api/secrets").header("x-api-key", "ik_x"),
        request(Method::GET, "/api/auth/public-config"),
    ] {
        let started = Instant::now();
        let answer = send(attempt).await;
        assert_eq!(answer.refusal(), (503, "INTERNAL_ERROR"));
        assert_eq!(answer.header("retry-after"), Some("1"));
        assert!(started.elapsed() < Duration::from_secs(5));
    }
    shutdown.cancel();
    serving.await.unwrap().unwrap();
}
