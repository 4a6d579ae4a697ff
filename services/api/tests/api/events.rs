//! What dashboards hear of changes in the database.

use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};

use crate::harness::{Api, send};
use crate::import::import;

/// A dashboard's stream of events, after its greeting.
struct Events(BoxStream<'static, Vec<u8>>);

impl Events {
    async fn listen(api: &Api) -> Self {
        let answer = api
            .admin("GET", "/api/dashboard/events")
            .send()
            .await
            .unwrap();
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        assert_eq!(answer.headers()["cache-control"], "no-cache, no-transform");
        assert_eq!(answer.headers()["x-accel-buffering"], "no");
        let chunks = answer.bytes_stream().map_ok(|chunk| chunk.to_vec());
        let mut events = Self(chunks.map(Result::unwrap).boxed());
        assert_eq!(events.next().await, json!({ "type": "ready" }));
        events
    }

    async fn next(&mut self) -> Value {
        let text = String::from_utf8(self.0.next().await.unwrap()).unwrap();
        let data = text.strip_prefix("data: ").unwrap().trim().to_owned();
        serde_json::from_str(&data).unwrap()
    }
}

fn changes(changes: &Value) -> Value {
    json!({ "type": "data-update", "resource": "database", "data": { "changes": changes } })
}

#[tokio::test]
async fn every_change_is_told_with_what_changed() {
    let api = Api::start().await;
    let mut events = Events::listen(&api).await;
    let sql = async |query: &str| {
        let body = json!({ "query": query });
        let request = api.admin("POST", "/api/database/advance/rawsql");
        assert_eq!(send(request.json(&body)).await.status, 200, "{query}");
    };
    sql("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1); INSERT INTO t VALUES (2)")
        .await;
    let expected = json!([{ "type": "tables" }, { "type": "records", "name": "public.t" }]);
    assert_eq!(events.next().await, changes(&expected));

    // Nobody needs to refresh for a query.
    sql("SELECT * FROM t").await;
    assert_eq!(import(&api, "CREATE TABLE u (a int)").await.status, 200);
    let anything = json!({ "type": "data-update", "resource": "database" });
    assert_eq!(events.next().await, anything);

    let file = Part::text("id\n5\n").file_name("a.csv");
    let form = Form::new().text("table", "t").part("file", file);
    let request = api.admin("POST", "/api/database/advance/bulk-upsert");
    assert_eq!(send(request.multipart(form)).await.status, 200);
    let rows_of_t = changes(&json!([{ "type": "records", "name": "public.t" }]));
    assert_eq!(events.next().await, rows_of_t);

    let rows = "/api/database/admin/tables/t/records";
    let removal = |id: i32| json!({ "pkKeys": [{ "id": id }] });
    let update = json!({ "pkKeys": { "id": 7 }, "data": { "id": 8 } });
    for (method, body, told) in [
        ("POST", json!([{ "id": 7 }]), true),
        ("PATCH", update, true),
        ("DELETE", removal(99), false),
        ("DELETE", removal(8), true),
    ] {
        let answer = send(api.admin(method, rows).json(&body)).await;
        assert!(answer.status < 300, "{answer:?}");
        if told {
            assert_eq!(events.next().await, rows_of_t, "{method}");
        }
    }
    // What fails is not told: the next event is that of the next change.
    assert_eq!(import(&api, "CREATE TABLE u (a int)").await.status, 400);
    sql("ALTER TABLE u ADD b int").await;
    let altered = json!([{ "type": "table", "name": "public.u" }]);
    assert_eq!(events.next().await, changes(&altered));
}

#[tokio::test]
async fn an_open_stream_is_for_administrators_and_ends_with_the_service() {
    let api = Api::start().await;
    let _events = Events::listen(&api).await;
    let stranger = api.anon("GET", "/api/dashboard/events");
    assert_eq!(send(stranger).await.refusal(), (401, "AUTH_UNAUTHORIZED"));
    // An open stream does not keep the service from stopping.
    api.service.stop().await.unwrap();
}
