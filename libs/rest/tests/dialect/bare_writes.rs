//! Reference, chapter "Tables and Views": what writes answer and which bodies they refuse, where the
//! platform has rules of its own.

use serde_json::json;

use crate::world::World;

const FULL: &str = "Prefer: return=representation";
const JSON: &str = "Content-Type: application/json";

#[tokio::test]
async fn inserts_answer_as_preferred() {
    let world = World::new().await;
    let minimal = world.send("POST /items", &[JSON], r#"{"name":"a"}"#).await;
    assert_eq!((minimal.status, minimal.text().as_str()), (201, ""));
    assert_eq!(minimal.header("content-range"), "*/*");
    assert_eq!(minimal.header("location"), "");

    let headers = ["Prefer: return=headers-only"];
    let located = world
        .send("POST /items", &headers, r#"{"id":50,"name":"b c"}"#)
        .await;
    assert_eq!(
        (located.status, located.header("location")),
        (201, "/items?id=eq.50")
    );
    assert_eq!(located.header("preference-applied"), "return=headers-only");
    let composite = world
        .send("POST /pairs", &headers, r#"{"a":1,"b":"x y"}"#)
        .await;
    assert_eq!(composite.header("location"), "/pairs?a=eq.1&b=eq.x%20y");

    let full = world
        .send("POST /items", &[FULL], r#"{"id":60,"name":"c"}"#)
        .await;
    assert_eq!(full.status, 201);
    assert_eq!(
        full.json(),
        json!([{"id":60,"name":"c","amount":7,"note":null}])
    );
    assert_eq!(full.header("preference-applied"), "return=representation");
    assert_eq!(
        full.header("content-type"),
        "application/json; charset=utf-8"
    );

    let shaped = world
        .send("POST /items?select=label:name", &[FULL], r#"{"name":"d"}"#)
        .await;
    assert_eq!(shaped.json(), json!([{"label":"d"}]));

    let object = "Accept: application/vnd.pgrst.object+json";
    let one = world
        .send(
            "POST /items?select=name",
            &[FULL, object],
            r#"{"name":"e"}"#,
        )
        .await;
    assert_eq!((one.status, one.json()), (201, json!({"name":"e"})));
}

#[tokio::test]
async fn bad_bodies_are_refused() {
    let world = World::new().await;
    let cases = [
        ("", "PGRST102"),
        ("{", "PGRST102"),
        (r#"[{"name":"a"},{"note":"b"}]"#, "PGRST102"),
        (r#"[{"name":"a"},7]"#, "PGRST102"),
        (r#"{"nope":1}"#, "PGRST204"),
        (r#"{"amount":"much"}"#, "22P02"),
    ];
    for (body, code) in cases {
        let answer = world.send("POST /items", &[JSON], body).await;
        assert_eq!(answer.fault(), (400, code.to_owned()), "{body}");
    }
    let answer = world
        .send("POST /items", &["Content-Type: image/png"], "x")
        .await;
    assert_eq!(answer.fault(), (400, "PGRST102".to_owned()));
}

#[tokio::test]
async fn one_object_is_asked_of_a_write_that_shows_nothing_too() {
    let world = World::new().await;
    let object = "Accept: application/vnd.pgrst.object+json";
    let answer = world
        .send("PATCH /keyless", &[object], r#"{"b":"z"}"#)
        .await;
    assert_eq!(answer.fault(), (406, "PGRST116".to_owned()));
    assert_eq!(answer.json()["details"], "The result contains 2 rows");
    assert_eq!(
        world.rows("/keyless?b=eq.z").await,
        json!([]),
        "rolled back"
    );
    let one = world
        .send("PATCH /keyless?a=eq.1", &[object], r#"{"b":"z"}"#)
        .await;
    assert_eq!(one.status, 204);
}
