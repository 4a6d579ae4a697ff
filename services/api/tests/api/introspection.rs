//! What the catalogue routes and the event stream tell.

use futures::StreamExt;
use serde_json::{Value, json};

use crate::harness::{Api, send};

async fn sql(api: &Api, query: &str) {
    let body = json!({ "query": query });
    let answer = send(
        api.admin("POST", "/api/database/advance/rawsql")
            .json(&body),
    )
    .await;
    assert_eq!(answer.status, 200, "{answer:?}");
}

async fn get(api: &Api, path: &str) -> Value {
    let answer = send(api.admin("GET", &format!("/api/database/{path}"))).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body
}

#[tokio::test]
async fn the_catalogue_is_shown() {
    let api = Api::start().await;
    sql(&api, "CREATE SCHEMA app; CREATE TABLE t (id int PRIMARY KEY, a text); ALTER TABLE t ENABLE ROW LEVEL SECURITY;
        CREATE INDEX t_a ON t (a); CREATE POLICY p ON t FOR SELECT TO anon, authenticated USING (id > 1);
        CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
        CREATE TRIGGER g BEFORE INSERT OR UPDATE ON t FOR EACH ROW WHEN (NEW.id > 1) EXECUTE FUNCTION f()").await;
    let schemas = get(&api, "schemas").await;
    assert_eq!(
        schemas["schemas"][0],
        json!({ "name": "public", "isProtected": false })
    );
    assert_eq!(
        schemas["schemas"][1],
        json!({ "name": "app", "isProtected": false })
    );
    assert_eq!(
        schemas["schemas"][2],
        json!({ "name": "auth", "isProtected": true })
    );
    let functions = get(&api, "functions").await;
    assert_eq!(functions["functions"][0]["functionName"], "f");
    assert_eq!(functions["functions"][0]["kind"], "f");
    let indexes = get(&api, "indexes").await;
    assert_eq!(indexes["indexes"][0]["indexName"], "t_a");
    assert_eq!(indexes["indexes"][1]["isPrimary"], true);
    assert_eq!(
        get(&api, "policies").await["policies"],
        json!([{ "tableName": "t", "policyName": "p", "cmd": "SELECT",
            "roles": ["anon", "authenticated"], "qual": "(id > 1)", "withCheck": null }])
    );
    let triggers = get(&api, "triggers").await;
    let trigger = |event: &str| {
        json!({ "tableName": "t", "triggerName": "g", "actionTiming": "BEFORE",
        "eventManipulation": event, "actionOrientation": "ROW", "actionCondition": "(new.id > 1)",
        "actionStatement": "EXECUTE FUNCTION f()" })
    };
    assert_eq!(
        triggers["triggers"],
        json!([trigger("INSERT"), trigger("UPDATE")])
    );
    assert_eq!(
        get(&api, "policies?schema=app").await,
        json!({ "policies": [] })
    );
}

#[tokio::test]
async fn dashboards_hear_of_changes() {
    let api = Api::start().await;
    let answer = api
        .admin("GET", "/api/dashboard/events")
        .send()
        .await
        .unwrap();
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    assert_eq!(answer.headers()["cache-control"], "no-cache, no-transform");
    assert_eq!(answer.headers()["x-accel-buffering"], "no");
    let mut chunks = answer.bytes_stream();
    let mut next = async || {
        let chunk = chunks.next().await.unwrap().unwrap();
        let text = String::from_utf8(chunk.to_vec()).unwrap();
        let data = text.strip_prefix("data: ").unwrap().trim().to_owned();
        serde_json::from_str::<Value>(&data).unwrap()
    };
    assert_eq!(next().await, json!({ "type": "ready" }));
    sql(
        &api,
        "CREATE TABLE t (id int); INSERT INTO t VALUES (1); INSERT INTO t VALUES (2)",
    )
    .await;
    assert_eq!(
        next().await,
        json!({ "type": "data-update", "resource": "database", "data": { "changes": [
            { "type": "tables" }, { "type": "records", "name": "public.t" } ] } })
    );
    let stranger = api.anon("GET", "/api/dashboard/events");
    assert_eq!(send(stranger).await.refusal(), (401, "AUTH_UNAUTHORIZED"));
    // An open stream does not keep the service from stopping.
    api.service.stop().await.unwrap();
}
