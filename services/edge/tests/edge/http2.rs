//! HTTP/2 over TLS: the same answers, many at once, and no request lost in a drain.

use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::routing::{any, post};
use futures::StreamExt;
use futures::future::join_all;
use http::{Method, StatusCode, Version};
use reqwest::{Client, RequestBuilder};

use crate::support::{Upstream, envelope, eventually};
use crate::tls::Scene;

/// Larger than any buffer on the way.
const LARGE: usize = 8 << 20;

fn services() -> Upstream {
    Upstream::with("api", None, |router| {
        let slow = async || {
            tokio::time::sleep(Duration::from_millis(1500)).await;
            "slow"
        };
        let back =
            async |request: Request| Body::from_stream(request.into_body().into_data_stream());
        router
            .route("/api/usage/slow", any(slow))
            .route("/api/storage/back", post(back))
    })
}

/// One client, and so one connection.
pub(crate) struct Caller {
    client: Client,
    port: u16,
}

impl Caller {
    pub(crate) fn of(scene: &Scene) -> Self {
        let builder = Client::builder()
            .no_proxy()
            .timeout(Duration::from_secs(20))
            .tls_certs_only([scene.one.clone()])
            .resolve("one.test", scene.secure());
        Self {
            client: builder.build().unwrap(),
            port: scene.secure().port(),
        }
    }

    pub(crate) fn ask(&self, method: Method, path: &str) -> RequestBuilder {
        let url = format!("https://one.test:{}{path}", self.port);
        self.client.request(method, url)
    }
}

#[tokio::test]
async fn many_requests_share_a_connection_and_services_see_no_difference() {
    let scene = Scene::before(services(), &[]).await;
    let caller = Caller::of(&scene);
    let answer = caller
        .ask(Method::GET, "/api/usage/x?a=%2F")
        .header("x-ingot-project", "forged")
        .send()
        .await
        .unwrap();
    assert_eq!(
        (answer.status(), answer.version()),
        (StatusCode::OK, Version::HTTP_2)
    );
    assert!(answer.headers().contains_key("x-request-id"));
    assert!(!answer.headers().contains_key("connection"));
    assert!(!answer.headers().contains_key("keep-alive"));
    let seen = scene.upstream.last();
    assert_eq!(seen.target, "/api/usage/x?a=%2F");
    assert_eq!(seen.header("host"), format!("one.test:{}", caller.port));
    assert_eq!(seen.header("x-ingot-project"), "default");
    assert_eq!(seen.header("x-forwarded-proto"), "https");
    assert_eq!(seen.header("x-forwarded-for"), "127.0.0.1");

    let started = std::time::Instant::now();
    let slow = (0..50).map(|_| caller.ask(Method::GET, "/api/usage/slow").send());
    for answer in join_all(slow).await {
        assert_eq!(answer.unwrap().text().await.unwrap(), "slow");
    }
    assert!(
        started.elapsed() < Duration::from_secs(30),
        "one after the other"
    );
}

#[tokio::test]
async fn refusals_have_the_envelope() {
    let scene = Scene::before(services(), &[("MAX_JSON_BODY_SIZE", "1000")]).await;
    let caller = Caller::of(&scene);
    let nothing = caller
        .ask(Method::GET, "/api/nothing")
        .send()
        .await
        .unwrap();
    assert_eq!(envelope(nothing).await.0, 404);
    let large = caller
        .ask(Method::POST, "/api/usage/x")
        .body("x".repeat(1001));
    assert_eq!(envelope(large.send().await.unwrap()).await.0, 413);
    // Without a length.
    let pieces = futures::stream::iter((0..40).map(|_| Ok::<_, std::io::Error>("x".repeat(100))));
    let streamed = caller
        .ask(Method::POST, "/api/usage/x")
        .body(reqwest::Body::wrap_stream(pieces));
    assert_eq!(envelope(streamed.send().await.unwrap()).await.0, 413);
    // A head that no service would take; the connection goes on.
    let long = caller
        .ask(Method::GET, "/api/usage/x")
        .header("x-long", "x".repeat(17 << 10));
    assert_eq!(long.send().await.unwrap().status(), 431);
    let head = caller
        .ask(Method::HEAD, "/api/usage/x")
        .send()
        .await
        .unwrap();
    assert_eq!(head.status(), 200);
}

#[tokio::test]
async fn large_bodies_stream_both_ways_at_once() {
    let scene = Scene::before(services(), &[]).await;
    let caller = Caller::of(&scene);
    let sent: Vec<u8> = (0..=250).cycle().take(LARGE).collect();
    let request = caller
        .ask(Method::POST, "/api/storage/back")
        .body(sent.clone());
    let answer = request.send().await.unwrap();
    let mut back = Vec::new();
    let mut pieces = answer.bytes_stream();
    while let Some(piece) = pieces.next().await {
        back.extend_from_slice(&piece.unwrap());
    }
    assert!(back == sent, "{} bytes of {}", back.len(), sent.len());
}

#[tokio::test]
async fn a_stop_answers_what_was_asked_and_takes_no_more() {
    let scene = Scene::before(services(), &[]).await;
    let caller = Caller::of(&scene);
    // The connection is there.
    caller.ask(Method::GET, "/api/health").send().await.unwrap();
    let under_way: Vec<_> = (0..5)
        .map(|_| tokio::spawn(caller.ask(Method::POST, "/api/usage/slow").send()))
        .collect();
    eventually("all are under way", async || {
        // The slow route notes nothing; health goes on meanwhile.
        caller
            .ask(Method::GET, "/api/health")
            .send()
            .await
            .unwrap()
            .status()
            == 200
    })
    .await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let took = scene.edge.stop().await;
    for answer in under_way {
        let answer = answer.await.unwrap().unwrap();
        assert_eq!(answer.text().await.unwrap(), "slow");
    }
    assert!(took < Duration::from_secs(10), "{took:?}");
}

#[tokio::test]
async fn it_can_be_switched_off() {
    let scene = Scene::before(services(), &[("INGOT_EDGE_HTTP2", "false")]).await;
    let caller = Caller::of(&scene);
    let answer = caller
        .ask(Method::GET, "/api/usage/x")
        .send()
        .await
        .unwrap();
    assert_eq!(answer.version(), Version::HTTP_11);
}
