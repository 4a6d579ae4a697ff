//! WebSocket connections through the edge.

use std::time::Duration;

use axum::extract::ws::{Message as Sent, WebSocketUpgrade};
use axum::routing::get;
use futures::{SinkExt, StreamExt};
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;

use crate::support::{TestEdge, Upstream};

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
