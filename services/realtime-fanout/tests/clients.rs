//! The node as the official client sees it.

mod scene;

use std::time::{Duration, Instant};

use anyhow::Context;
use ingot_testkit::Passage;
use scene::{Scene, Sockets, USER};
use serde_json::{Value, json};
use url::Url;
use uuid::Uuid;

/// How long a node lets a socket wait for the bus before it is connected without it.
const FEED_PATIENCE: Duration = Duration::from_secs(2);

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
    ];
    for (payload, wanted) in cases {
        let id = scene.publish("room:1", "e", payload).await?;
        let mut body = sockets.hear("a", "event").await?["args"][0].clone();
        let meta = body
            .as_object_mut()
            .and_then(|body| body.remove("meta"))
            .unwrap_or_default();
        assert_eq!(body, wanted, "{payload}");
        assert_eq!(meta["channel"], "realtime:room:1");
        assert_eq!(meta["messageId"], id.to_string());
        assert_eq!(meta["senderType"], "system");
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
async fn policies_decide_who_subscribes_and_publishes() -> anyhow::Result<()> {
    let scene = Scene::new().await?;
    scene
        .project
        .execute(&format!(
            "alter table realtime.channels enable row level security;
            alter table realtime.messages enable row level security;
            create policy own on realtime.channels for select to authenticated
                using (pattern = 'room:%' and realtime.channel_name() = 'room:' || (current_setting('request.jwt.claims')::json ->> 'sub'));
            create policy write on realtime.messages for insert to authenticated
                with check (event_name = 'allowed' and sender_id = '{USER}')"
        ))
        .await?;
    let node = scene.node().await?;
    let mut sockets = Sockets::start()?;
    sockets
        .connect(scene.connect("a", &node, &scene.user_auth(USER)?))
        .await?;
    let own = format!("room:{USER}");
    for (channel, code) in [
        ("room:other", "REALTIME_UNAUTHORIZED"),
        ("orders", "REALTIME_UNAUTHORIZED"),
        ("nowhere", "REALTIME_UNAUTHORIZED"),
    ] {
        let answer = sockets
            .ask("a", "realtime:subscribe", json!({"channel": channel}))
            .await?;
        assert_eq!(answer["ok"], false);
        assert_eq!(answer["channel"], channel);
        assert_eq!(answer["error"]["code"], code, "{answer}");
    }
    sockets.subscribe("a", &own).await?;
    let refusals = [
        (
            json!({"channel": "room:x", "event": "allowed", "payload": {}}),
            "REALTIME_NOT_SUBSCRIBED",
        ),
        (
            json!({"channel": own, "event": "forbidden", "payload": {}}),
            "REALTIME_UNAUTHORIZED",
        ),
        (
            json!({"channel": own, "event": "allowed"}),
            "REALTIME_UNAUTHORIZED",
        ),
        (
            json!({"channel": own, "event": "allowed", "payload": {"a": "\0"}}),
            "REALTIME_UNAUTHORIZED",
        ),
        (
            json!({"channel": own, "event": "presence:join", "payload": {}}),
            "REALTIME_INVALID_EVENT",
        ),
        (
            json!({"channel": own, "event": "realtime:error", "payload": {}}),
            "REALTIME_INVALID_EVENT",
        ),
        (
            json!({"channel": own, "event": "data:update", "payload": {}}),
            "REALTIME_INVALID_EVENT",
        ),
        (
            json!({"channel": own, "event": 5, "payload": {}}),
            "REALTIME_INVALID_EVENT",
        ),
        (Value::Null, "REALTIME_INVALID_EVENT"),
    ];
    for (argument, code) in refusals {
        sockets
            .emit("a", "realtime:publish", json!([argument]))
            .await?;
        let error = sockets.hear("a", "event").await?;
        assert_eq!(error["event"], "realtime:error");
        assert_eq!(error["args"][0]["code"], code, "{argument}");
        assert!(error["args"][0].get("meta").is_none());
    }
    let big = json!({"n": 1});
    sockets
        .emit(
            "a",
            "realtime:publish",
            json!([{"channel": own, "event": "allowed", "payload": big}]),
        )
        .await?;
    let mut sql = scene.project.superuser().await?;
    for _ in 0..100 {
        let row: Option<(String, Option<Uuid>, Value)> =
            sqlx::query_as("select sender_type, sender_id, payload from realtime.messages")
                .fetch_optional(&mut sql)
                .await?;
        if let Some((sender_type, sender_id, payload)) = row {
            assert_eq!(
                (sender_type.as_str(), sender_id),
                ("user", Some(USER.parse()?))
            );
            assert_eq!(payload, json!({"n": 1}));
            return node.stop().await;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    anyhow::bail!("the message was not stored")
}

#[tokio::test]
async fn presence_tells_of_members_and_not_of_sockets() -> anyhow::Result<()> {
    let scene = Scene::new().await?;
    let node = scene.node().await?;
    let mut sockets = Sockets::start()?;
    let watcher = sockets
        .connect(scene.connect("w", &node, &scene.anon_auth()))
        .await?;
    sockets.subscribe("w", "orders").await?;
    for name in ["tab1", "tab2"] {
        sockets
            .connect(scene.connect(name, &node, &scene.user_auth(USER)?))
            .await?;
        let answer = sockets.subscribe(name, "orders").await?;
        let members = answer["presence"]["members"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        assert_eq!(members.len(), 2, "{answer}");
        assert_eq!(
            (&members[0]["type"], &members[0]["presenceId"]),
            (&json!("anonymous"), &json!(watcher))
        );
        assert_eq!(
            (&members[1]["type"], &members[1]["presenceId"]),
            (&json!("user"), &json!(USER))
        );
    }
    let join = sockets.hear("w", "event").await?;
    assert_eq!(join["event"], "presence:join");
    assert_eq!(join["args"][0]["meta"]["channel"], "orders");
    let joined_at = join["args"][0]["member"]["joinedAt"].clone();
    // The second tab is no second member, and the first to go no leave.
    sockets
        .emit(
            "tab1",
            "realtime:unsubscribe",
            json!([{"channel": "orders"}]),
        )
        .await?;
    assert!(sockets.rest().await?.is_empty());
    sockets
        .tell(json!({"do": "disconnect", "socket": "tab2"}))
        .await?;
    let leave = sockets.hear("w", "event").await?;
    assert_eq!(leave["event"], "presence:leave");
    assert_eq!(leave["args"][0]["member"]["joinedAt"], joined_at);
    node.stop().await
}

#[tokio::test]
async fn two_nodes_deliver_and_count_and_admins_hear_of_changes() -> anyhow::Result<()> {
    use futures::StreamExt;

    let mut scene = Scene::new().await?;
    let mut audiences = scene.bus.audiences(&scene.project.project().id).await?;
    let nodes = [scene.node().await?, scene.node().await?];
    let mut sockets = Sockets::start()?;
    let admin = json!({"apiKey": scene.keys.api_key.expose()});
    for (name, node) in ["one", "two"].iter().zip(&nodes) {
        sockets.connect(scene.connect(name, node, &admin)).await?;
        sockets.subscribe(name, "orders").await?;
    }
    let join = sockets.hear("one", "event").await?;
    assert_eq!(join["event"], "presence:join", "of the other node's");
    let id = scene.publish("orders", "created", "{}").await?;
    for name in ["one", "two"] {
        assert_eq!(
            sockets.hear(name, "event").await?["args"][0]["meta"]["messageId"],
            id.to_string()
        );
    }
    let mut total = 0;
    while total < 2 {
        let counted = tokio::time::timeout(Duration::from_secs(10), audiences.next()).await?;
        total += counted
            .unwrap_or_default()
            .counts
            .iter()
            .map(|(_, sockets)| sockets)
            .sum::<u32>();
    }
    assert_eq!(total, 2);
    let change = ingot_bus::Change {
        kind: "records".to_owned(),
        name: Some("public.todos".to_owned()),
    };
    let event = ingot_bus::DashboardEvent::database(vec![change]);
    scene
        .bus
        .publish_dashboard(&scene.project.project().id, &event)
        .await?;
    for name in ["one", "two"] {
        let update = sockets.hear(name, "event").await?;
        assert_eq!(update["event"], "data:update");
        assert_eq!(update["args"][0]["resource"], "database");
        assert_eq!(
            update["args"][0]["data"]["changes"],
            json!([{"type": "records", "name": "todos"}])
        );
        assert_eq!(update["args"][0]["meta"]["channel"], "role:project_admin");
    }
    for node in nodes {
        node.stop().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_connected_admin_misses_no_change() -> anyhow::Result<()> {
    let scene = Scene::new().await?;
    let mut nats: Url = scene.project.nats_url().parse()?;
    let mut bus = Passage::to(nats.port().context("NATS has a port")?)?;
    bus.open()?;
    nats.set_port(Some(bus.port())).ok();
    let node = scene.node_with(&[("NATS_URL", nats.as_str())]).await?;
    let mut sockets = Sockets::start()?;
    let admin = json!({"apiKey": scene.keys.api_key.expose()});

    // While the node cannot hear of changes, nobody is told that he would. Others get in.
    bus.hold();
    let held = Instant::now();
    sockets.tell(scene.connect("admin", &node, &admin)).await?;
    sockets
        .connect(scene.connect("anon", &node, &scene.anon_auth()))
        .await?;
    let early = sockets.rest().await?;
    if held.elapsed() >= FEED_PATIENCE {
        // The machine was too busy for this look, and the patience has rightly ended.
        return node.stop().await;
    }
    assert_eq!(early, Vec::<Value>::new());
    bus.release();
    sockets.hear("admin", "connected").await?;
    let event = ingot_bus::DashboardEvent::of(ingot_bus::Resource::Users);
    scene
        .bus
        .publish_dashboard(&scene.project.project().id, &event)
        .await?;
    let update = sockets.hear("admin", "event").await?;
    assert_eq!(update["args"][0]["resource"], "users");
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
