//! The node as the official client sees it: coming in, what arrives, the end.

mod scene;

use scene::{Scene, Sockets, USER};
use serde_json::{Value, json};
use uuid::Uuid;

#[tokio::test]
async fn every_refusal_has_its_text() -> anyhow::Result<()> {
    let scene = Scene::new().await?;
    let node = scene.node().await?;
    let mut sockets = Sockets::start()?;
    let good = scene.token(&json!({"sub": USER, "exp": 4_000_000_000_u64}))?;
    let cases = [
        (
            json!({"apiKey": "ik_wrong", "token": good}),
            "Invalid API key",
        ),
        (json!({"token": "anon_wrong"}), "Invalid anon key"),
        (json!({}), "No authentication provided"),
        (json!({"token": "nonsense"}), "Invalid token"),
        (
            json!({"token": scene.token(&json!({"sub": USER, "exp": 1}))?}),
            "Invalid token",
        ),
        (json!({"token": "ik_wrong"}), "Invalid token"),
        (
            json!({"token": scene.token(&json!({"exp": 4_000_000_000_u64}))?}),
            "Invalid token subject",
        ),
        (json!({"apiKey": 5}), "Invalid authentication"),
    ];
    for (number, (auth, message)) in cases.iter().enumerate() {
        let name = number.to_string();
        sockets.tell(scene.connect(&name, &node, auth)).await?;
        let refused = sockets.hear(&name, "refused").await?;
        assert_eq!(refused["refused"], *message, "{auth}");
        assert!(refused.get("data").is_none() && refused["active"] == false);
    }
    for (name, auth) in [
        ("api", json!({"apiKey": scene.keys.api_key.expose()})),
        ("sdk", json!({"token": scene.keys.api_key.expose()})),
        ("anon", scene.anon_auth()),
        ("user", json!({"token": good})),
        (
            "odd",
            json!({"token": scene.token(&json!({"sub": "x", "role": "editor", "exp": 4_000_000_000_u64}))?}),
        ),
    ] {
        sockets.connect(scene.connect(name, &node, &auth)).await?;
    }
    let answer = sockets
        .ask("odd", "realtime:subscribe", json!({"channel": "orders"}))
        .await?;
    assert_eq!(answer["error"]["code"], "REALTIME_UNAUTHORIZED");
    node.stop().await
}

#[tokio::test]
async fn polling_websocket_and_upgrade_all_deliver() -> anyhow::Result<()> {
    let mut scene = Scene::new().await?;
    let node = scene.node().await?;
    let mut sockets = Sockets::start()?;
    for (name, transports) in [
        ("poll", json!(["polling"])),
        ("ws", json!(["websocket"])),
        ("up", json!(["polling", "websocket"])),
    ] {
        let mut command = scene.connect(name, &node, &scene.anon_auth());
        command["transports"] = transports;
        sockets.connect(command).await?;
        sockets.subscribe(name, "orders").await?;
    }
    assert_eq!(
        sockets.hear("up", "upgraded").await?["upgraded"],
        "websocket"
    );
    for n in 1..=30 {
        scene
            .publish("orders", "created", &format!("{{\"n\":{n}}}"))
            .await?;
    }
    for name in ["poll", "ws", "up"] {
        for n in 1..=30 {
            // Anonymous sockets also hear of each other.
            let event = loop {
                let event = sockets.hear(name, "event").await?;
                if event["event"] != "presence:join" {
                    break event;
                }
            };
            assert_eq!(event["args"][0]["n"], n, "{name}");
        }
    }
    node.stop().await
}

#[tokio::test]
async fn bodies_are_those_of_the_contract() -> anyhow::Result<()> {
    let mut scene = Scene::new().await?;
    let node = scene.node().await?;
    let mut sockets = Sockets::start()?;
    sockets
        .connect(scene.connect("a", &node, &scene.user_auth(USER)?))
        .await?;
    sockets.subscribe("a", "room:1").await?;
    let cases = [
        (r#"{"a":1,"meta":"mine"}"#, json!({"a": 1})),
        ("[7,null]", json!({"0": 7, "1": null})),
        (r#""hé""#, json!({"0": "h", "1": "é"})),
        ("5", json!({})),
        ("null", json!({})),
        (r#"{"b":[{}]}"#, json!({"b": [{}]})),
    ];
    for (payload, wanted) in cases {
        let id = scene.publish("room:1", "e", payload).await?;
        let mut body = sockets.hear("a", "event").await?["args"][0].clone();
        let sent: Value = serde_json::from_str(payload)?;
        let meta = body
            .as_object_mut()
            .and_then(|body| body.remove("meta"))
            .unwrap_or_default();
        assert_eq!(body, wanted, "{payload}");
        assert_eq!(meta["channel"], "realtime:room:1");
        assert_eq!(meta["messageId"], id.to_string());
        assert_eq!(meta["senderType"], "system");
        // What cannot be told from the body is there as it was sent.
        let whole = (body != sent).then_some(&sent);
        assert_eq!(meta.get("payload"), whole, "{payload}");
        assert!(meta.get("senderId").is_none() && meta["timestamp"].is_string());
    }
    // A message whose payload stayed behind, and one that no client could hear.
    let id: Uuid = sqlx::query_scalar("select realtime.publish('room:1', 'long', $1)")
        .bind(json!({"text": "x".repeat(300_000)}))
        .fetch_one(&mut scene.project.superuser().await?)
        .await?;
    let long = ingot_bus::RoomMessage {
        id,
        channel: "room:1".to_owned(),
        event: "long".to_owned(),
        payload: None,
        sender_type: ingot_bus::SenderType::System,
        sender_id: None,
    };
    scene.publish("room:1", "disconnect", "{}").await?;
    scene.publish_message(&long).await?;
    let event = sockets.hear("a", "event").await?;
    assert_eq!(event["event"], "long");
    assert_eq!(
        event["args"][0]["text"].as_str().map(str::len),
        Some(300_000)
    );
    assert!(sockets.rest().await?.is_empty());
    node.stop().await
}

#[tokio::test]
async fn a_stop_is_told_and_clients_come_back() -> anyhow::Result<()> {
    let scene = Scene::new().await?;
    let node = scene.node().await?;
    let mut sockets = Sockets::start()?;
    for (name, transport) in [("ws", "websocket"), ("poll", "polling")] {
        let mut command = scene.connect(name, &node, &scene.anon_auth());
        command["transports"] = json!([transport]);
        sockets.connect(command).await?;
    }
    node.stop().await?;
    for name in ["ws", "poll"] {
        let event = sockets.hear(name, "event").await?;
        assert_eq!(event["event"], "notification");
        assert_eq!(event["args"][0]["title"], "Server Shutdown");
        assert_eq!(
            sockets.hear(name, "disconnected").await?["disconnected"],
            "transport close"
        );
    }
    Ok(())
}
