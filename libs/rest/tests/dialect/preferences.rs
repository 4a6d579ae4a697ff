//! Reference, chapter "Prefer Header": which preferences are known, and which of them count where.

use serde_json::json;

use crate::world::World;

const TWO: &str = r#"[{"name":"a"},{"name":"b"}]"#;

#[tokio::test]
async fn unknown_preferences_are_told_in_their_order() {
    let world = World::new().await;
    let cases = [
        ("foo, timezone=Nowhere, bar", "foo, timezone=Nowhere, bar"),
        ("timezone=, x", "timezone=, x"),
        ("timezone=UTC, x", "x"),
        ("x, max-affected=many", "x"),
        ("count=none", "count=none"),
        ("tx=commit,", ""),
    ];
    for (prefer, told) in cases {
        let prefer = format!("Prefer: handling=strict, {prefer}");
        let refused = world.send("GET /films", &[&prefer], "").await;
        let expected = format!("Invalid preferences: {told}");
        assert_eq!(refused.json()["details"], expected, "{prefer}");
        // What a description of the API is made from has no preferences.
        assert_eq!(world.send("GET /", &[&prefer], "").await.status, 200);
        assert_eq!(
            world.send("OPTIONS /films", &[&prefer], "").await.status,
            200
        );
    }
}

#[tokio::test]
async fn max_affected_limits_changes_and_calls() {
    let world = World::new().await;
    let one = "Prefer: handling=strict, max-affected=1";
    let added = world.send("POST /items", &[one], TWO).await;
    assert_eq!(added.status, 201);
    assert_eq!(added.header("preference-applied"), "handling=strict");
    for line in ["PATCH /items", "DELETE /items"] {
        let refused = world.send(line, &[one], r#"{"amount":1}"#).await;
        assert_eq!(refused.fault(), (400, "PGRST124".to_owned()), "{line}");
        assert_eq!(refused.json()["details"], "The query affects 2 rows");
    }
    for line in ["GET /rpc/numbers?n=2", "POST /rpc/numbers"] {
        let refused = world.send(line, &[one], r#"{"n":2}"#).await;
        assert_eq!(refused.fault(), (400, "PGRST124".to_owned()), "{line}");
    }
    let called = world.send("GET /rpc/numbers?n=1", &[one], "").await;
    assert_eq!((called.status, called.json()), (200, json!([1])));
    assert_eq!(
        called.header("preference-applied"),
        "handling=strict, max-affected=1"
    );
    // Of several the first counts, a number or not.
    let first = "Prefer: handling=strict, max-affected=x, max-affected=1";
    let changed = world
        .send("PATCH /items", &[first], r#"{"amount":1}"#)
        .await;
    assert_eq!(changed.status, 204);
    assert_eq!(changed.header("preference-applied"), "handling=strict");
}

#[tokio::test]
async fn a_merge_that_adds_nothing_is_no_creation() {
    let world = World::new().await;
    let merge = ["Prefer: resolution=merge-duplicates"];
    let status = async |line: &str, body: &str| world.send(line, &merge, body).await.status;
    assert_eq!(status("POST /items", "[]").await, 200);
    assert_eq!(status("POST /pairs", r#"{"a":1,"b":"x"}"#).await, 201);
    assert_eq!(status("POST /pairs", r#"{"a":1,"b":"x"}"#).await, 200);
    // Without a key nothing is a duplicate.
    assert_eq!(status("POST /keyless", r#"{"a":1}"#).await, 201);
    assert_eq!(status("POST /keyless", "[]").await, 200);
}
