//! Services that die, refuse, stall and come back.

use std::time::Duration;

use axum::Router;
use axum::routing::{any, get};
use http::StatusCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::support::{NOWHERE, Tally, TestEdge, Upstream, envelope, eventually};

async fn post(edge: &TestEdge, path: &str) -> reqwest::Response {
    edge.client
        .post(edge.url(path))
        .body("{}")
        .send()
        .await
        .unwrap()
}

#[tokio::test]
async fn a_dead_service_takes_only_its_prefix_along_and_comes_back() {
    let (api, records) = (Upstream::start("api"), Upstream::start("records"));
    let edge = TestEdge::start(&[
        ("INGOT_UPSTREAM_API", api.address.to_string()),
        ("INGOT_UPSTREAM_RECORDS", records.address.to_string()),
    ])
    .await;
    assert_eq!(edge.get("/api/database/records/t").await.status(), 200);
    let address = records.kill();
    for request in [
        edge.client.get(edge.url("/api/database/records/t")),
        edge.client.post(edge.url("/api/database/rpc/f")).body("{}"),
    ] {
        let answer = request.send().await.unwrap();
        assert_eq!(answer.headers()["retry-after"], "1");
        let (status, body) = envelope(answer).await;
        assert_eq!((status, &body["error"]), (503, &"UPSTREAM_FAILURE".into()));
        assert!(body["nextActions"].is_string());
    }
    assert_eq!(edge.get("/api/auth/users").await.status(), 200);
    // One service makes an edge ready; that was the one that died, where the other's first check was late.
    eventually("the edge is ready by what is left", || async {
        edge.readyz().await == Some(StatusCode::OK)
    })
    .await;
    let _records = Upstream::start_at("records", address);
    eventually("the service is back", || async {
        edge.get("/api/database/records/t").await.status() == 200
    })
    .await;
}

#[tokio::test]
async fn an_edge_before_nobody_answers_and_says_that_it_is_not_ready() {
    let edge = TestEdge::start_unready(&[]).await;
    assert_eq!(edge.get("/api/health").await.status(), 503);
    assert_eq!(edge.readyz().await, Some(StatusCode::SERVICE_UNAVAILABLE));
}

#[tokio::test]
async fn a_refused_connection_moves_on_to_another_upstream() {
    let api = Upstream::start("api");
    let doomed = Upstream::start("api");
    let edge = TestEdge::start(&[
        (
            "INGOT_UPSTREAM_API",
            format!("{},{}", doomed.address, api.address),
        ),
        // The edge must find out by itself, not by a health check.
        ("INGOT_UPSTREAM_CHECK_MS", "2400000".to_owned()),
    ])
    .await;
    doomed.kill();
    for _ in 0..6 {
        assert_eq!(post(&edge, "/api/auth/users").await.status(), 200);
    }
    assert_eq!(api.seen().len(), 6);
}

/// Reads a request and hangs up, like a process that dies at work.
pub(crate) async fn dies_at_work() -> (std::net::SocketAddr, Tally) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let tally = Tally::default();
    let counted = tally.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = vec![0; 4096];
            let read = stream.read(&mut head).await.unwrap_or(0);
            if head[..read].starts_with(b"GET /readyz") {
                let ok = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
                stream.write_all(ok).await.ok();
            } else if read > 0 {
                counted.add();
            }
        }
    });
    (address, tally)
}

#[tokio::test]
async fn what_may_have_been_done_is_not_done_twice() {
    let (dying, died) = dies_at_work().await;
    let edge = TestEdge::start(&[("INGOT_UPSTREAM_API", dying.to_string())]).await;
    let (status, body) = envelope(post(&edge, "/api/auth/users").await).await;
    assert_eq!((status, &body["error"]), (502, &"UPSTREAM_FAILURE".into()));
    assert_eq!(died.count(), 1, "the POST was sent again");
    let delete = edge
        .client
        .delete(edge.url("/api/auth/users"))
        .send()
        .await
        .unwrap();
    assert_eq!(
        (delete.status(), died.count()),
        (StatusCode::BAD_GATEWAY, 2)
    );
}

#[tokio::test]
async fn a_read_that_broke_off_is_asked_elsewhere() {
    let (dying, died) = dies_at_work().await;
    let api = Upstream::start("api");
    let edge = TestEdge::start(&[("INGOT_UPSTREAM_API", format!("{dying},{}", api.address))]).await;
    for _ in 0..4 {
        assert_eq!(edge.get("/api/auth/users").await.status(), 200);
    }
    assert!(died.count() > 0, "the dying upstream was never asked");
    assert_eq!(api.seen().len(), 4);
}

#[tokio::test]
async fn who_is_not_ready_gets_nothing_while_others_are_and_everything_otherwise() {
    let waiting = Upstream::with("waiting", None, |router: Router| {
        router.route("/readyz", get(|| async { StatusCode::SERVICE_UNAVAILABLE }))
    });
    let ready = Upstream::start("ready");
    let edge = TestEdge::start(&[(
        "INGOT_UPSTREAM_API",
        format!("{},{}", waiting.address, ready.address),
    )])
    .await;
    eventually("the waiting one is known", || async {
        let before = waiting.seen().len();
        for _ in 0..6 {
            edge.get("/api/health").await;
        }
        waiting.seen().len() == before
    })
    .await;
    ready.kill();
    eventually("the waiting one answers for itself", || async {
        edge.get("/api/health").await.text().await.unwrap() == "waiting"
    })
    .await;
}

#[tokio::test]
async fn a_service_that_falls_silent_is_given_up() {
    let api = Upstream::with("api", None, |router| {
        router.route("/api/usage/slow", any(std::future::pending::<StatusCode>))
    });
    let edge = TestEdge::start(&[
        ("INGOT_UPSTREAM_API", api.address.to_string()),
        ("INGOT_UPSTREAM_TIMEOUT", "1".to_owned()),
    ])
    .await;
    let (status, body) = envelope(edge.get("/api/usage/slow").await).await;
    assert_eq!((status, &body["error"]), (504, &"UPSTREAM_FAILURE".into()));
}

#[tokio::test]
async fn a_name_stands_for_all_its_addresses() {
    let api = Upstream::start_at("api", "127.0.0.1:0".parse().unwrap());
    let port = api.address.port();
    let edge = TestEdge::start(&[("INGOT_UPSTREAM_API", format!("localhost:{port}"))]).await;
    for _ in 0..4 {
        assert_eq!(edge.get("/api/health").await.status(), 200);
    }
}

#[tokio::test]
async fn a_name_that_is_not_there_does_not_hide_the_others() {
    let api = Upstream::start("api");
    let targets = format!("not-there.invalid:80,{}", api.address);
    let edge = TestEdge::start(&[("INGOT_UPSTREAM_API", targets)]).await;
    assert_eq!(edge.get("/api/health").await.status(), 200);
}

#[tokio::test]
async fn clients_that_hang_up_or_talk_nonsense_disturb_nobody() {
    let api = Upstream::with("api", None, |router| {
        router.route("/api/usage/slow", any(std::future::pending::<StatusCode>))
    });
    let edge = TestEdge::start(&[
        ("INGOT_UPSTREAM_API", api.address.to_string()),
        ("INGOT_UPSTREAM_RECORDS", NOWHERE.to_owned()),
    ])
    .await;
    for noise in [
        "GET /api/usage/slow HTTP/1.1\r\nhost: x\r\n\r\n",
        "POST /api/auth/users HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\nfew",
        "POST /api/auth/users HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        "GET /api/x HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
        "GET /api/x HTTP/1.1\r\nhost: x\r\nconnection: x-forwarded-for\r\n\r\n",
        "GET /api/%ff%00\u{fffd} HTTP/1.1\r\nhost: x\r\n\r\n",
        "\u{0}\u{1}\u{2}\r\n\r\n",
        "GET",
        "",
    ] {
        let mut stream = TcpStream::connect(edge.address).await.unwrap();
        stream.write_all(noise.as_bytes()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(edge.get("/api/health").await.status(), 200);
    let took = edge.stop().await;
    assert!(
        took < Duration::from_secs(5),
        "something was left in flight: {took:?}"
    );
}
