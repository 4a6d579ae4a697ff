//! Who may subscribe and publish, as the official client sees it.

mod scene;

use std::time::{Duration, Instant};

use ingot_bus::Invalidation;
use scene::{Scene, Sockets, USER};
use serde_json::{Value, json};
use uuid::Uuid;

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
async fn what_a_role_may_do_is_asked_anew_when_it_changes() -> anyhow::Result<()> {
    let scene = Scene::new().await?;
    let node = scene.node().await?;
    let mut sockets = Sockets::start()?;
    sockets
        .connect(scene.connect("a", &node, &scene.user_auth(USER)?))
        .await?;
    sockets.subscribe("a", "room:1").await?;
    // Sooner than an answer is forgotten by itself.
    let soon = Duration::from_secs(3);
    let changes = [
        (
            "alter table realtime.channels enable row level security",
            false,
        ),
        (
            "create policy everybody on realtime.channels for select to authenticated using (true)",
            true,
        ),
        ("update realtime.channels set enabled = false", false),
        ("update realtime.channels set enabled = true", true),
        (
            "alter table realtime.channels disable row level security",
            true,
        ),
        (
            "delete from realtime.channels where pattern = 'room:%'",
            false,
        ),
    ];
    for (change, allowed) in changes {
        scene.project.execute(change).await?;
        // As the relay does.
        scene
            .bus
            .publish_invalidation(&scene.project.project().id, Invalidation::Channels)
            .await?;
        let changed = Instant::now();
        loop {
            let answer = sockets
                .ask("a", "realtime:subscribe", json!({"channel": "room:1"}))
                .await?;
            if answer["ok"] == allowed {
                break;
            }
            anyhow::ensure!(changed.elapsed() < soon, "{change}: {answer}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    node.stop().await
}
