//! The service with PostgREST as its engine. The upstream here answers with what it was asked.

use axum::Router;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use reqwest::Method;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::scene::Scene;

async fn echo(request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    if parts.method == Method::POST && parts.uri.path() == "/silent" {
        return StatusCode::CREATED.into_response();
    }
    let headers: Vec<_> = parts
        .headers
        .iter()
        .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
        .collect();
    let answer = json!({
        "target": parts.uri.to_string(),
        "headers": headers,
        "body": String::from_utf8(body.to_vec()).unwrap(),
    });
    ([("content-range", "0-0/1")], axum::Json(answer)).into_response()
}

/// The upstream's address, and what ends it together with its connections.
async fn upstream(stop: CancellationToken) -> (String, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let serving = axum::serve(listener, Router::new().fallback(echo))
        .with_graceful_shutdown(stop.cancelled_owned())
        .into_future();
    (url, tokio::spawn(async { serving.await.unwrap() }))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_are_forwarded_and_answers_pass() {
    let stop = CancellationToken::new();
    let (url, upstream) = upstream(stop.clone()).await;
    let engine = [
        ("INGOT_RECORDS_ENGINE", "postgrest"),
        ("POSTGREST_BASE_URL", url.as_str()),
    ];
    let scene = Scene::set_with(&engine).await;
    let ann = scene.user("ann");
    let row = r#"{"id": 1, "body": "", "ref": "", "big": 9007199254740993}"#;
    let sent = ann
        .post("records/notes?columns=%22id%22&schema=sales", row)
        .await;
    assert_eq!(sent.headers["content-range"], "0-0/1");
    let seen = sent.json();
    assert_eq!(seen["target"], "/notes?columns=%22id%22");
    assert_eq!(
        seen["body"], row,
        "`sales` has no such table: nothing is known, nothing is left out"
    );
    let headers = seen["headers"].to_string();
    assert!(headers.contains("content-profile: sales"), "{headers}");
    assert!(!headers.contains("x-ingot"), "{headers}");

    let sent = ann.post("records/notes", row).await.json();
    assert_eq!(sent["body"], r#"{"id":1,"body":"","big":9007199254740993}"#);
    let key = scene.keys.anon_key.expose();
    let headers = scene.caller(key).get("records/notes").await.json()["headers"].to_string();
    assert!(
        headers.contains("authorization: Bearer ey") && !headers.contains(key),
        "{headers}"
    );
    let silent = ann.post("records/silent", "{}").await;
    assert_eq!((silent.status.as_u16(), silent.text.as_str()), (201, "[]"));

    stop.cancel();
    upstream.await.unwrap();
    let gone = ann.post("records/notes", "{}").await;
    gone.refused(503, "INTERNAL_ERROR");
    assert!(
        !gone.text.contains("onnect"),
        "no text of the socket: {gone:?}"
    );
}
