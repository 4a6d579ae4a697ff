//! `@supabase/postgrest-js`, as it comes from npm.

use ingot_rest::Session;
use ingot_testkit::Node;
use serde_json::{Value, json};

use crate::server::{Server, token};
use crate::world::fixture;

#[tokio::test]
async fn the_official_client_reads_writes_and_calls() {
    let project = fixture().await;
    let anonymous = ("PGRST_DB_ANON_ROLE".to_owned(), "anon".to_owned());
    let server = Server::start(&project, vec![anonymous]).await;
    let ann = Session {
        role: "authenticated".to_owned(),
        claims: json!({"role": "authenticated", "sub": "ann"}).to_string(),
        authenticated: true,
        settings: Vec::new(),
    };
    let steps = Node::script("records/postgrest.mjs")
        .env("BASE_URL", format!("http://{}", server.address))
        .env("TOKEN", token(&ann).unwrap())
        .run()
        .await
        .unwrap();
    let film = json!([{"title": "Seven Samurai", "directors": {"last_name": "Kurosawa"}}]);
    let expected = [
        step("embed", film, 206, 2),
        step("filters", json!([{"id": 1}, {"id": 2}]), 200, None),
        step("text", json!([{"id": 1}]), 200, None),
        step("head", Value::Null, 200, 5),
        step("single", json!({"title": "Cléo from 5 to 7"}), 200, None),
        fault("notSingle", 406, "PGRST116"),
        step("maybeSingle", Value::Null, 200, None),
        step("csv", json!("id,name\n1,top\n2,middle"), 200, None),
        step(
            "insert",
            json!([{"name": "one"}, {"name": "two"}]),
            201,
            None,
        ),
        step("upsert", json!([{"name": "one", "amount": 5}]), 200, None),
        step("update", json!([{"amount": 7}]), 200, None),
        step("remove", Value::Null, 204, None),
        step("call", json!("authenticated"), 200, None),
        step("callGet", json!("ann"), 200, None),
        step("own", json!([{"word": "pear"}]), 200, None),
        fault("missing", 404, "42P01"),
    ];
    assert_eq!(steps, expected);
}

fn step(name: &str, data: impl Into<Value>, status: u16, count: impl Into<Option<u32>>) -> Value {
    let (data, count): (Value, Option<u32>) = (data.into(), count.into());
    json!({"step": name, "data": data, "count": count, "status": status, "code": null})
}

fn fault(name: &str, status: u16, code: &str) -> Value {
    json!({"step": name, "data": null, "count": null, "status": status, "code": code})
}
