//! WebSocket connections through the edge.

use std::time::Duration;

use axum::extract::ws::{Message as Sent, WebSocketUpgrade};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures::{SinkExt, StreamExt};
use http::{StatusCode, Uri};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::support::{TestEdge, Upstream};
use crate::upstreams::dies_at_work;

/// A server that echoes every message, and waits as long as it takes.
pub(crate) fn echo() -> Upstream {
    Upstream::with("echo", None, |router| {
        let upgrade = |upgrade: WebSocketUpgrade| async {
            upgrade.on_upgrade(|mut socket| async move {
                while let Some(Ok(message)) = socket.recv().await {
                    if matches!(message, Sent::Close(_)) || socket.send(message).await.is_err() {
                        return;
                    }
                }
            })
        };
        router.route("/socket.io/", get(upgrade))
    })
}

#[tokio::test]
async fn messages_pass_in_both_directions_and_silence_is_no_fault() {
    let upstream = echo();
    let edge = TestEdge::start(&[
        ("INGOT_UPSTREAM_REALTIME", upstream.address.to_string()),
        ("INGOT_UPSTREAM_TIMEOUT", "1".to_owned()),
    ])
    .await;
    let url = format!("ws://{}/socket.io/?EIO=4&transport=websocket", edge.address);
    let (mut socket, answer) = connect_async(url).await.unwrap();
    assert_eq!(answer.status(), 101);
    assert!(!answer.headers().contains_key("keep-alive"));
    for message in [
        Message::text("hello"),
        Message::binary(vec![0, 1, 2, 255]),
        Message::text("x".repeat(500_000)),
    ] {
        socket.send(message.clone()).await.unwrap();
        assert_eq!(socket.next().await.unwrap().unwrap(), message);
    }
    tokio::time::sleep(Duration::from_millis(2500)).await;
    socket.send(Message::text("still there?")).await.unwrap();
    assert_eq!(
        socket.next().await.unwrap().unwrap(),
        Message::text("still there?")
    );
    socket.close(None).await.unwrap();
}

/// Greets at once, as Engine.IO does, and then echoes; refuses who asks for `refused`.
fn greeter() -> Upstream {
    async fn upgrade(uri: Uri, upgrade: WebSocketUpgrade) -> Response {
        if uri.query().is_some_and(|query| query.contains("refused")) {
            return (StatusCode::BAD_REQUEST, "Session ID unknown").into_response();
        }
        upgrade.on_upgrade(|mut socket| async move {
            let mut next = Some(Ok(Sent::text("welcome")));
            while let Some(Ok(message @ Sent::Text(_))) = next {
                if socket.send(message).await.is_err() {
                    return;
                }
                next = socket.recv().await;
            }
        })
    }
    Upstream::with("greeter", None, |router| {
        router.route("/socket.io/", get(upgrade))
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn many_at_once_all_get_through_or_hear_why_not() {
    let upstream = greeter();
    let edge = TestEdge::start(&[
        ("INGOT_UPSTREAM_REALTIME", upstream.address.to_string()),
        ("INGOT_RATE_LIMIT", "1000000".to_owned()),
    ])
    .await;
    let base = format!("ws://{}/socket.io/?EIO=4&transport=websocket", edge.address);
    let clients = (0..20).map(|client| {
        let base = base.clone();
        tokio::spawn(async move {
            for round in 0..50 {
                if (client + round) % 5 == 0 {
                    let refused = connect_async(format!("{base}&refused")).await;
                    let Err(Error::Http(answer)) = refused else {
                        panic!("not refused: {refused:?}");
                    };
                    assert_eq!(answer.status(), 400);
                    assert_eq!(answer.body().as_deref(), Some(&b"Session ID unknown"[..]));
                    continue;
                }
                let (mut socket, _) = connect_async(&base).await.unwrap();
                // Neither waits for the other: the greeting may be on its way with the 101.
                socket.send(Message::text("2probe")).await.unwrap();
                for expected in ["welcome", "2probe"] {
                    let message = socket.next().await.unwrap().unwrap();
                    assert_eq!(message, Message::text(expected));
                }
            }
        })
    });
    let all = futures::future::try_join_all(clients);
    let in_time = tokio::time::timeout(Duration::from_mins(1), all).await;
    in_time.expect("some hang").unwrap();
}

/// Opens sockets at an edge that has a node besides one that takes none.
async fn find_the_other_node(useless: std::net::SocketAddr) {
    let useful = echo();
    let edge = TestEdge::start(&[(
        "INGOT_UPSTREAM_REALTIME",
        format!("{useless},{}", useful.address),
    )])
    .await;
    let url = format!("ws://{}/socket.io/?EIO=4&transport=websocket", edge.address);
    for _ in 0..4 {
        let opening = tokio::time::timeout(Duration::from_secs(20), connect_async(&url));
        let (mut socket, _) = opening.await.expect("it waits for the wrong node").unwrap();
        socket.send(Message::text("hello")).await.unwrap();
        let echoed = socket.next().await.unwrap().unwrap();
        assert_eq!(echoed, Message::text("hello"));
    }
}

#[tokio::test]
async fn a_node_that_stops_leaves_new_sockets_to_another_one() {
    let stopping = Upstream::with("stopping", None, |router| {
        let refuse = || async { StatusCode::SERVICE_UNAVAILABLE };
        router.route("/socket.io/", get(refuse))
    });
    find_the_other_node(stopping.address).await;
}

#[tokio::test]
async fn a_node_that_dies_in_the_handshake_leaves_the_socket_to_another_one() {
    let (dying, died) = dies_at_work().await;
    find_the_other_node(dying).await;
    assert!(died.count() > 0, "the dying node was never asked");
}

#[tokio::test]
async fn a_node_that_stands_still_does_not_keep_handshakes() {
    let still = Upstream::with("still", None, |router| {
        let never = std::future::pending::<StatusCode>;
        router
            .route("/socket.io/", get(never))
            .route("/livez", get(never))
    });
    find_the_other_node(still.address).await;
}

#[tokio::test]
async fn after_a_refusal_the_connection_goes_on() {
    let upstream = greeter();
    let edge = TestEdge::start(&[("INGOT_UPSTREAM_REALTIME", upstream.address.to_string())]).await;
    let mut connection = TcpStream::connect(edge.address).await.unwrap();
    for _ in 0..2 {
        let handshake = "GET /socket.io/?refused HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\n\
            Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
            Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        connection.write_all(handshake.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"Session ID unknown") {
            let read = connection.read_buf(&mut answer);
            let read = tokio::time::timeout(Duration::from_secs(10), read).await;
            let text = String::from_utf8_lossy(&answer);
            assert_ne!(read.expect("no full answer").unwrap(), 0, "{text}");
        }
    }
}
