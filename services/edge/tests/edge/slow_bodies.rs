//! Clients that begin a request and do not go on with its body.

use std::io;
use std::time::Duration;

use axum::extract::Request;
use axum::routing::post;
use bytes::Bytes;
use futures::stream::{self, StreamExt};
use http::{Method, Version};
use reqwest::{Body, Response};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::http2::Caller;
use crate::support::{TestEdge, Upstream, envelope};
use crate::tls::Scene;

/// What the edges here wait for, in seconds.
const LIMIT: u64 = 2;
const LIMITED: (&str, &str) = ("INGOT_EDGE_BODY_TIMEOUT", "2");

/// A service that takes nothing for longer than a client's silence may be, and then everything.
fn late_taker() -> Upstream {
    Upstream::with("api", None, |router| {
        let take = async |request: Request| {
            tokio::time::sleep(Duration::from_secs(2 * LIMIT)).await;
            let body = axum::body::to_bytes(request.into_body(), usize::MAX).await;
            body.unwrap().len().to_string()
        };
        router.route("/api/storage/late", post(take))
    })
}

/// A body of which nothing but its beginning comes.
fn stuck() -> Body {
    let beginning = stream::iter([Ok::<_, io::Error>(Bytes::from_static(b"{"))]);
    Body::wrap_stream(beginning.chain(stream::pending()))
}

/// A byte now and then, each of them in time.
fn dripping() -> Body {
    let drops = stream::unfold((), |()| async {
        tokio::time::sleep(Duration::from_millis(LIMIT * 1000 / 4)).await;
        Some((Ok::<_, io::Error>(Bytes::from_static(b"x")), ()))
    });
    Body::wrap_stream(drops)
}

async fn is_told(answer: reqwest::Result<Response>) {
    let (status, body) = envelope(answer.unwrap()).await;
    assert_eq!((status, &body["error"]), (408, &"INVALID_INPUT".into()));
}

#[tokio::test]
async fn over_http2_they_are_told_and_the_connections_other_requests_go_on() {
    let scene = Scene::before(Upstream::start("api"), &[LIMITED]).await;
    let caller = Caller::of(&scene);
    let short = caller
        .ask(Method::POST, "/api/usage/x")
        .header("content-length", "100")
        .body(stuck())
        .send();
    let without_length = caller
        .ask(Method::POST, "/api/usage/x")
        .body(stuck())
        .send();
    let upload = caller
        .ask(Method::POST, "/api/storage/x")
        .body(stuck())
        .send();
    let slow = caller
        .ask(Method::POST, "/api/storage/x")
        .body(dripping())
        .send();
    let others = async {
        for _ in 0..20 {
            let other = caller.ask(Method::POST, "/api/usage/x").body("{}").send();
            let other = other.await.unwrap();
            assert_eq!(
                (other.status().as_u16(), other.version()),
                (200, Version::HTTP_2)
            );
            tokio::time::sleep(Duration::from_millis(LIMIT * 1000 / 8)).await;
        }
    };
    let (short, without_length, upload, slow, ()) =
        tokio::join!(short, without_length, upload, slow, others);
    for answer in [short, without_length, upload, slow] {
        is_told(answer).await;
    }
    let others = scene
        .upstream
        .seen()
        .iter()
        .filter(|seen| seen.body_len == 2)
        .count();
    assert_eq!(others, 20);
}

#[tokio::test]
async fn a_service_that_takes_its_time_is_not_the_clients_fault() {
    let scene = Scene::before(late_taker(), &[LIMITED]).await;
    let caller = Caller::of(&scene);
    // Larger than all buffers on the way.
    let size: usize = 24 << 20;
    let upload = caller
        .ask(Method::POST, "/api/storage/late")
        .body(vec![b'x'; size]);
    let answer = upload.send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.text().await.unwrap(), size.to_string());
}

#[tokio::test]
async fn over_http1_they_are_told_too() {
    let api = Upstream::start("api");
    let limited = (LIMITED.0, LIMITED.1.to_owned());
    let variables = [("INGOT_UPSTREAM_API", api.address.to_string()), limited];
    let edge = TestEdge::start(&variables).await;
    // A small body, and one that is passed on as it comes.
    for (path, length) in [("/api/usage/x", 100), ("/api/storage/x", 1_000_000)] {
        let mut client = TcpStream::connect(edge.address).await.unwrap();
        let head = format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{{");
        client.write_all(head.as_bytes()).await.unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 408 "), "{path}: {answer}");
    }
    assert!(api.seen().is_empty());
}
