//! What one socket may do, and for how long.

mod scene;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ingot_bus::UsersDeleted;
use scene::raw::Raw;
use scene::{Scene, Sockets, USER};
use serde_json::json;

const OTHER: &str = "5d0dbf2c-1f9c-4d0e-8a53-0a5f3d4b6a02";

#[tokio::test]
async fn who_sends_too_many_events_is_told_and_stays() -> anyhow::Result<()> {
    let scene = Scene::new().await?;
    let limit = [("INGOT_REALTIME_EVENTS_PER_SECOND", "1")];
    let node = scene.node_with(&limit).await?;
    let mut sockets = Sockets::start()?;
    sockets
        .connect(scene.connect("fast", &node, &scene.user_auth(USER)?))
        .await?;
    sockets.subscribe("fast", "orders").await?;
    // Four more of the five that may come at once; these are answered in their order.
    for _ in 0..12 {
        sockets
            .tell(
                json!({"do": "emit", "socket": "fast", "event": "realtime:subscribe",
                "args": [{"channel": "room:1"}], "ack": true}),
            )
            .await?;
    }
    let mut refused = 0;
    for _ in 0..12 {
        let answer = sockets.hear("fast", "ack").await?;
        let code = answer.pointer("/answer/0/error/code");
        refused += usize::from(code == Some(&json!("TOO_MANY_REQUESTS")));
    }
    assert!((4..=8).contains(&refused), "{refused}");
    let publication = json!({"channel": "room:1", "event": "e", "payload": {}});
    for _ in 0..8 {
        sockets
            .emit("fast", "realtime:publish", json!([publication]))
            .await?;
    }
    let error = loop {
        let report = sockets.hear("fast", "event").await?;
        if report.get("event") == Some(&json!("realtime:error")) {
            break report;
        }
    };
    assert_eq!(
        error.pointer("/args/0"),
        Some(&json!({"channel": "room:1", "code": "TOO_MANY_REQUESTS",
            "message": "This socket sends too many events: wait a little"}))
    );
    // Leaving is always allowed, and a while later everything is again.
    sockets
        .emit(
            "fast",
            "realtime:unsubscribe",
            json!([{"channel": "room:1"}]),
        )
        .await?;
    tokio::time::sleep(Duration::from_millis(2500)).await;
    sockets.subscribe("fast", "room:2").await?;
    node.stop().await
}

/// More than the kernel takes for a client that does not read.
#[tokio::test]
async fn who_does_not_read_is_left_behind_and_others_get_everything() -> anyhow::Result<()> {
    const MESSAGES: usize = 300;
    let mut scene = Scene::new().await?;
    let node = scene.node_with(&[("INGOT_REALTIME_QUEUE", "32")]).await?;
    let mut sockets = Vec::new();
    for _ in 0..2 {
        let mut socket = Raw::join(&scene, &node).await?;
        socket
            .send(r#"420["realtime:subscribe",{"channel":"orders"}]"#)
            .await?;
        while !socket.text().await?.starts_with("430") {}
        sockets.push(socket);
    }
    let [mut slow, mut reader] = <[Raw; 2]>::try_from(sockets).map_err(|_| "two").unwrap();
    let reading = tokio::spawn(async move {
        for number in 0..MESSAGES {
            let wanted = format!(r#"42["e",{{"n":{number},"#);
            let text = reader.text().await?;
            anyhow::ensure!(text.starts_with(&wanted), "{wanted} is not next");
        }
        anyhow::Ok(())
    });
    let filling = "x".repeat(100_000);
    for number in 0..MESSAGES {
        let payload = format!(r#"{{"n":{number},"filling":"{filling}"}}"#);
        scene.publish("orders", "e", &payload).await?;
    }
    reading.await??;
    let mut left = 0;
    while let Some(message) = slow.next().await? {
        left += usize::from(message.is_text());
    }
    assert!(left < MESSAGES, "it was not left behind");
    node.stop().await
}

#[tokio::test]
async fn sockets_end_with_their_tokens_where_that_is_set() -> anyhow::Result<()> {
    let scene = Scene::new().await?;
    let strict = scene
        .node_with(&[("INGOT_REALTIME_CLOSE_EXPIRED", "true")])
        .await?;
    let lenient = scene.node().await?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let soon = json!({"sub": USER, "role": "authenticated", "exp": now + 3});
    let auth = json!({"token": scene.token(&soon)?});
    let mut sockets = Sockets::start()?;
    for (name, node) in [("strict", &strict), ("lenient", &lenient)] {
        sockets.connect(scene.connect(name, node, &auth)).await?;
    }
    sockets
        .connect(scene.connect("key", &strict, &scene.anon_auth()))
        .await?;
    let ended = sockets.hear("strict", "disconnected").await?;
    assert_eq!(ended.get("disconnected"), Some(&json!("transport close")));
    sockets.subscribe("lenient", "orders").await?;
    sockets.subscribe("key", "orders").await?;
    for node in [strict, lenient] {
        node.stop().await?;
    }
    Ok(())
}

#[tokio::test]
async fn sockets_of_a_deleted_user_end_and_do_not_come_back() -> anyhow::Result<()> {
    let scene = Scene::new().await?;
    let node = scene.node().await?;
    let mut sockets = Sockets::start()?;
    for (name, user) in [("gone", USER), ("stays", OTHER)] {
        sockets
            .connect(scene.connect(name, &node, &scene.user_auth(user)?))
            .await?;
    }
    let deleted = UsersDeleted {
        project: scene.project.project().id.to_string(),
        users: vec![USER.parse()?],
    };
    scene.bus.publish_deleted_users(&deleted).await?;
    sockets.hear("gone", "disconnected").await?;
    sockets
        .tell(scene.connect("again", &node, &scene.user_auth(USER)?))
        .await?;
    let refused = sockets.hear("again", "refused").await?;
    assert_eq!(refused.get("refused"), Some(&json!("Invalid token")));
    sockets.subscribe("stays", "orders").await?;
    node.stop().await
}
