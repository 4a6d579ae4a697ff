//! The two ways of a request to its service, short and long: clients and services see no difference.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body as Answer, Bytes};
use axum::http::header::CONTENT_TYPE;
use axum::routing::{any, get};
use futures::StreamExt;
use http::StatusCode;
use reqwest::{Body, Method, RequestBuilder};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use crate::support::{Tally, TestEdge, Upstream, envelope, eventually, own_address};

/// A body whose length nobody knows, which makes its request go the long way.
fn in_pieces(bytes: &'static str) -> Body {
    let pieces = futures::stream::iter([Ok::<_, Infallible>(bytes)]);
    Body::wrap_stream(pieces)
}

/// The same request on both ways.
fn both(edge: &TestEdge, method: &Method, path: &str) -> [RequestBuilder; 2] {
    let request = || edge.client.request(method.clone(), edge.url(path));
    [request().body("{}"), request().body(in_pieces("{}"))]
}

#[tokio::test]
async fn services_see_the_same_on_both() {
    let api = Upstream::start("api");
    let edge = TestEdge::start(&[("INGOT_UPSTREAM_API", api.address.to_string())]).await;
    let mut seen = Vec::new();
    for request in both(&edge, &Method::PATCH, "/API/auth/users?a=%2F&b") {
        let answer = request
            .header("x-ingot-project", "forged")
            .header("origin", "https://app.example")
            .header("keep-alive", "timeout=5")
            .send()
            .await
            .unwrap();
        let mut names: Vec<_> = answer.headers().keys().map(ToString::to_string).collect();
        names.sort();
        assert_eq!(answer.text().await.unwrap(), "api");
        let got = api.last();
        let mut headers: Vec<_> = got.headers.keys().map(ToString::to_string).collect();
        headers.retain(|name| name != "content-length" && name != "transfer-encoding");
        headers.sort();
        assert_eq!(got.header("x-ingot-project"), "default");
        seen.push((
            got.method.clone(),
            got.target.clone(),
            got.body_len,
            headers,
            names,
        ));
    }
    assert_eq!(seen[0], seen[1]);
    assert_eq!(seen[0].1, "/api/auth/users?a=%2F&b");
}

/// Answers so many requests on each connection, and hangs up at the next one.
async fn hangs_up_after(requests: usize) -> (SocketAddr, Tally) {
    let listener = TcpListener::bind((own_address(), 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let asked = Tally::default();
    let counted = asked.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let counted = counted.clone();
            tokio::spawn(async move {
                let mut head = vec![0; 8192];
                for number in 0..=requests {
                    let read = stream.read(&mut head).await.unwrap_or(0);
                    if read == 0 {
                        return;
                    }
                    if !head.starts_with(b"GET /readyz") {
                        counted.add();
                    }
                    if number < requests {
                        let ok = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
                        stream.write_all(ok).await.ok();
                    }
                }
            });
        }
    });
    (address, asked)
}

#[tokio::test]
async fn connections_are_used_again_and_a_read_survives_one_that_closes() {
    let (address, asked) = hangs_up_after(3).await;
    let edge = TestEdge::start(&[("INGOT_UPSTREAM_API", address.to_string())]).await;
    for _ in 0..12 {
        let answer = edge.get("/api/auth/users").await;
        assert_eq!(
            (answer.status(), answer.text().await.unwrap()),
            (StatusCode::OK, "ok".into())
        );
    }
    // Each fourth was asked once more, on a connection of its own.
    assert_eq!(asked.count(), 15, "connections are not used again");
    // What may have been done is not done twice: the connection's fourth request has been read.
    let mut broken = 0;
    for _ in 0..4 {
        let request = edge.client.post(edge.url("/api/auth/users")).body("{}");
        let answer = request.send().await.unwrap();
        if answer.status() == 502 {
            assert_eq!(envelope(answer).await.1["error"], "UPSTREAM_FAILURE");
            broken += 1;
        }
    }
    assert_eq!((broken, asked.count()), (1, 19));
}

#[tokio::test]
async fn a_connection_that_was_closed_meanwhile_is_not_used() {
    let closed = Arc::new(Notify::new());
    let listener = TcpListener::bind((own_address(), 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let closing = Arc::clone(&closed);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let closing = Arc::clone(&closing);
            tokio::spawn(async move {
                let mut head = vec![0; 8192];
                let read = stream.read(&mut head).await.unwrap_or(0);
                let ok = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
                stream.write_all(ok).await.ok();
                tokio::time::sleep(Duration::from_millis(50)).await;
                drop(stream);
                if read > 0 && !head.starts_with(b"GET /readyz") {
                    closing.notify_one();
                }
            });
        }
    });
    let edge = TestEdge::start(&[("INGOT_UPSTREAM_API", address.to_string())]).await;
    for _ in 0..5 {
        for request in both(&edge, &Method::POST, "/api/auth/users") {
            assert_eq!(request.send().await.unwrap().status(), 200);
            closed.notified().await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

#[tokio::test]
async fn a_refused_connection_moves_on_and_a_broken_write_does_not() {
    let (dying, died) = hangs_up_after(0).await;
    let (api, doomed) = (Upstream::start("api"), Upstream::start("api"));
    let targets = format!("{},{}", doomed.address, api.address);
    let edge = TestEdge::start(&[
        ("INGOT_UPSTREAM_API", targets),
        ("INGOT_UPSTREAM_MIGRATION", dying.to_string()),
        // The edge must find out by itself, not by a health check.
        ("INGOT_UPSTREAM_CHECK_MS", "2400000".to_owned()),
    ])
    .await;
    doomed.kill();
    for request in both(&edge, &Method::POST, "/api/auth/users") {
        assert_eq!(request.send().await.unwrap().status(), 200);
    }
    for (number, request) in both(&edge, &Method::POST, "/api/database/migrations")
        .into_iter()
        .enumerate()
    {
        let (status, body) = envelope(request.send().await.unwrap()).await;
        assert_eq!((status, &body["error"]), (502, &"UPSTREAM_FAILURE".into()));
        assert_eq!(died.count(), number + 1, "it was sent again");
    }
}

#[tokio::test]
async fn a_stream_arrives_piece_by_piece_and_ends_with_its_client() {
    let (more, gone) = (Arc::new(Notify::new()), Tally::default());
    let api = {
        let (more, gone) = (Arc::clone(&more), gone.clone());
        Upstream::with("api", None, move |router| {
            let events = move || async move {
                let state = (0, more, OnDrop(gone));
                let pieces = futures::stream::unfold(state, |(number, more, gone)| async move {
                    more.notified().await;
                    let piece = Ok::<_, Infallible>(format!("data: {number}\n\n"));
                    Some((piece, (number + 1, more, gone)))
                });
                (
                    [(CONTENT_TYPE, "text/event-stream")],
                    Answer::from_stream(pieces),
                )
            };
            router.route("/api/usage/events", get(events))
        })
    };
    let edge = TestEdge::start(&[("INGOT_UPSTREAM_API", api.address.to_string())]).await;
    let answer = edge.get("/api/usage/events").await;
    let mut pieces = answer.bytes_stream();
    for number in 0..3 {
        more.notify_one();
        assert_eq!(
            pieces.next().await.unwrap().unwrap(),
            format!("data: {number}\n\n")
        );
    }
    assert_eq!(gone.count(), 0);
    drop(pieces);
    eventually("the service hears that the client has left", async || {
        gone.count() == 1
    })
    .await;
}

struct OnDrop(Tally);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.add();
    }
}

#[tokio::test]
async fn who_hangs_up_takes_the_request_along() {
    let gone = Tally::default();
    let api = {
        let gone = gone.clone();
        Upstream::with("api", None, move |router| {
            // With its body unread, a service does not hear of the end.
            let slow = move |_body: Bytes| async move {
                let _gone = OnDrop(gone);
                std::future::pending::<StatusCode>().await
            };
            router.route("/api/usage/slow", any(slow))
        })
    };
    let edge = TestEdge::start(&[("INGOT_UPSTREAM_API", api.address.to_string())]).await;
    for (number, body) in [
        "content-length: 2\r\n\r\n{}",
        "transfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    ]
    .into_iter()
    .enumerate()
    {
        let mut client = TcpStream::connect(edge.address).await.unwrap();
        let request = format!("POST /api/usage/slow HTTP/1.1\r\nhost: x\r\n{body}");
        client.write_all(request.as_bytes()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert_eq!(gone.count(), number);
        drop(client);
        eventually("the service is told", async || gone.count() == number + 1).await;
    }
}
