//! Realtime for administrators.

use serde_json::{Value, json};

use crate::harness::{Answer, Api, send};

async fn call(api: &Api, method: &str, path: &str, body: Value) -> Answer {
    send(
        api.admin(method, &format!("/api/realtime/{path}"))
            .json(&body),
    )
    .await
}

async fn get(api: &Api, path: &str) -> Answer {
    send(api.admin("GET", &format!("/api/realtime/{path}"))).await
}

#[tokio::test]
async fn a_channel_lives_from_creation_to_removal() {
    let api = Api::start().await;
    let created = call(
        &api,
        "POST",
        "channels",
        json!({ "pattern": "order:%", "description": "" }),
    )
    .await;
    assert_eq!(created.status, 201, "{created:?}");
    assert_eq!(
        (&created.body["description"], &created.body["enabled"]),
        (&json!(null), &json!(true))
    );
    let path = format!("channels/{}", created.text("id"));
    let again = call(&api, "POST", "channels", json!({ "pattern": "order:%" })).await;
    assert_eq!(again.refusal(), (409, "DATABASE_DUPLICATE"));
    assert!(again.text("nextActions").contains("field(pattern)"));
    let update = json!({ "webhookUrls": ["https://example.com/hook"], "enabled": false });
    let updated = call(&api, "PUT", &path, update).await.body;
    assert_eq!(updated["webhookUrls"], json!(["https://example.com/hook"]));
    assert_eq!(updated["pattern"], "order:%");
    assert_ne!(
        call(&api, "PUT", &path, json!({})).await.body["updatedAt"],
        updated["updatedAt"]
    );
    assert_eq!(
        get(&api, "channels").await.body.as_array().unwrap().len(),
        1
    );
    assert_eq!(get(&api, &path).await.body["enabled"], false);
    let removed = call(&api, "DELETE", &path, json!({})).await;
    assert_eq!(removed.body, json!({ "message": "Channel deleted" }));
    for (method, path) in [
        ("GET", path.as_str()),
        ("DELETE", path.as_str()),
        ("GET", "channels/x"),
    ] {
        let gone = call(&api, method, path, json!({})).await;
        assert_eq!(gone.refusal(), (404, "REALTIME_CHANNEL_NOT_FOUND"));
    }
    for (body, code) in [
        (json!({}), "REALTIME_INVALID_CHANNEL_REQUEST"),
        (
            json!({ "pattern": "a", "enabled": "x" }),
            "REALTIME_INVALID_CHANNEL_REQUEST",
        ),
        (
            json!({ "pattern": "%" }),
            "REALTIME_INVALID_CHANNEL_PATTERN",
        ),
    ] {
        let refused = call(&api, "POST", "channels", body).await;
        assert_eq!(refused.refusal(), (400, code));
    }
}

#[tokio::test]
async fn webhooks_that_failed_are_listed_replayed_and_removed() {
    let api = Api::start().await;
    let channel = json!({ "pattern": "orders", "webhookUrls": ["https://example.com/hook"] });
    assert_eq!(call(&api, "POST", "channels", channel).await.status, 201);
    assert_eq!(get(&api, "webhooks/failures").await.body, json!([]));
    let sql = "select realtime.publish('orders', 'e', jsonb_build_object('n', n))
        from generate_series(1, 3) as n;
        update realtime.webhook_deliveries
        set failed_at = now(), attempts = 1, status = 500, error = 'no', counted = true;";
    api.project.execute(sql).await.unwrap();
    let failures = get(&api, "webhooks/failures?limit=2").await.body;
    assert_eq!(failures.as_array().unwrap().len(), 2);
    let failure = &failures[0];
    assert_eq!(
        (&failure["url"], &failure["channelName"], &failure["status"]),
        (
            &json!("https://example.com/hook"),
            &json!("orders"),
            &json!(500)
        )
    );
    let id = failure["id"].as_str().unwrap();
    let one = format!("webhooks/failures/{id}");
    let replayed = call(&api, "POST", &format!("{one}/replay"), json!({})).await;
    assert_eq!(replayed.body, json!({ "replayed": 1 }));
    for (method, path) in [
        ("POST", format!("{one}/replay")),
        ("DELETE", one),
        ("DELETE", "webhooks/failures/x".to_owned()),
    ] {
        let gone = call(&api, method, &path, json!({})).await;
        assert_eq!(gone.refusal(), (404, "NOT_FOUND"), "{path}");
    }
    let other = failures[1]["id"].as_str().unwrap();
    let removed = call(
        &api,
        "DELETE",
        &format!("webhooks/failures/{other}"),
        json!({}),
    )
    .await;
    assert_eq!(removed.status, 200);
    let rest = call(&api, "POST", "webhooks/failures/replay", json!({})).await;
    assert_eq!(rest.body, json!({ "replayed": 1 }));
    assert_eq!(get(&api, "webhooks/failures").await.body, json!([]));
    let secret = get(&api, "webhooks/secret").await;
    assert_eq!(secret.text("secret").len(), 64);
    for path in ["webhooks/failures", "webhooks/secret"] {
        let path = format!("/api/realtime/{path}");
        assert_eq!(send(api.request("GET", &path)).await.status, 401);
    }
    let refused = get(&api, "webhooks/failures?limit=0").await;
    assert_eq!(refused.refusal(), (400, "INVALID_INPUT"));
}

#[tokio::test]
async fn messages_are_listed_counted_and_cleared() {
    let api = Api::start().await;
    let channel = call(&api, "POST", "channels", json!({ "pattern": "room" }))
        .await
        .text("id");
    let publish = "SELECT realtime.publish('room', 'note', '{\"n\":1}'); SELECT realtime.publish('room', 'note', '{}')";
    let body = json!({ "query": publish });
    let published = send(
        api.admin("POST", "/api/database/advance/rawsql")
            .json(&body),
    )
    .await;
    assert_eq!(published.status, 200, "{published:?}");
    let messages = get(&api, &format!("messages?channelId={channel}&limit=1"))
        .await
        .body;
    assert_eq!(messages.as_array().unwrap().len(), 1);
    assert_eq!(
        (&messages[0]["eventName"], &messages[0]["senderType"]),
        (&json!("note"), &json!("system"))
    );
    assert_eq!(
        get(&api, "messages/stats?since=2020-01-01").await.body,
        json!({ "totalMessages": 2, "whDeliveryRate": 0.0, "topEvents": [{ "eventName": "note", "count": 2 }],
            "retentionDays": null })
    );
    for bad in [
        "messages?limit=",
        "messages?limit=1001",
        "messages?channelId=x",
        "messages/stats?since=x",
    ] {
        assert_eq!(
            get(&api, bad).await.refusal(),
            (400, "INVALID_INPUT"),
            "{bad}"
        );
    }
    assert_eq!(
        call(&api, "DELETE", "messages", json!({})).await.body,
        json!({ "deleted": 2 })
    );
    assert_eq!(get(&api, "messages").await.body, json!([]));

    assert_eq!(
        get(&api, "config").await.body,
        json!({ "retentionDays": null })
    );
    assert_eq!(
        call(&api, "PATCH", "config", json!({ "retentionDays": 7 }))
            .await
            .status,
        200
    );
    assert_eq!(
        get(&api, "config").await.body,
        json!({ "retentionDays": 7 })
    );
    assert_eq!(
        call(&api, "PATCH", "config", json!({})).await.refusal(),
        (400, "INVALID_INPUT")
    );

    let policy = json!({ "query": "CREATE POLICY mine ON realtime.messages FOR INSERT TO authenticated WITH CHECK (true)" });
    assert_eq!(
        send(
            api.admin("POST", "/api/database/advance/rawsql")
                .json(&policy)
        )
        .await
        .status,
        200
    );
    assert_eq!(
        get(&api, "permissions").await.body,
        json!({ "subscribe": { "policies": [] }, "publish": { "policies": [{ "policyName": "mine",
            "tableName": "messages", "command": "INSERT", "roles": ["authenticated"], "using": null, "withCheck": "true" }] } })
    );
    let stranger = send(api.anon("GET", "/api/realtime/channels")).await;
    assert_eq!(stranger.refusal(), (401, "AUTH_UNAUTHORIZED"));
}
