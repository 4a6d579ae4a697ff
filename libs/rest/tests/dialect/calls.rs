//! Reference, chapter "Functions as RPC": what is an argument and what a condition on the result.

use serde_json::json;

use crate::world::World;

const JSON: &str = "Content-Type: application/json";

#[tokio::test]
async fn the_one_value_has_a_name() {
    let world = World::new().await;
    for (call, expected) in [
        ("add?a=1&b=2&pgrst_scalar=eq.3", json!(3)),
        ("add?a=1&b=2&pgrst_scalar=gt.3", json!(null)),
        ("add?a=1&b=2&limit=0", json!(null)),
        ("add?a=1&b=2&select=pgrst_scalar", json!(3)),
        ("numbers?n=5&pgrst_scalar=in.(2,4)", json!([2, 4])),
        ("numbers?n=3&order=pgrst_scalar.desc&limit=2", json!([3, 2])),
        (
            "numbers?n=3&or=(pgrst_scalar.eq.1,pgrst_scalar.eq.3)",
            json!([1, 3]),
        ),
    ] {
        assert_eq!(
            world.rows(&format!("/rpc/{call}")).await,
            expected,
            "{call}"
        );
    }
    let count = ["Prefer: count=exact"];
    let url = "GET /rpc/numbers?n=5&pgrst_scalar=gt.2&limit=1";
    let counted = world.send(url, &count, "").await;
    assert_eq!(
        (counted.status, counted.header("content-range")),
        (206, "0-0/3")
    );
    let stripped = ["Accept: application/vnd.pgrst.array+json;nulls=stripped"];
    let answer = world.send("POST /rpc/echo_json", &stripped, r#"{"a":null,"b":1}"#);
    assert_eq!(answer.await.json(), json!({"b":1}));
}

#[tokio::test]
async fn arguments_are_told_from_conditions() {
    let world = World::new().await;
    let added = "create function say(x text, y text default '') returns text language sql \
        immutable as $$ select x || y $$";
    world.project.execute(added).await.unwrap();
    for (call, expected) in [
        ("say?x=just+words", "just words"),
        // What begins no condition is none.
        ("say?x=equal.to", "equal.to"),
        ("say?x=not.in.x", "not.in.x"),
        ("say?x=a.b&y=.c", "a.b.c"),
        // A name may be quoted, and the last part of it counts.
        ("say?%22x%22=a", "a"),
        ("say?other.x=a", "a"),
        // A semicolon separates parameters as well.
        ("say?x=a;y=b", "ab"),
    ] {
        let answer = world.get(&format!("/rpc/{call}")).await;
        assert_eq!(
            (answer.status, answer.json()),
            (200, json!(expected)),
            "{call}"
        );
    }
    // A condition that was begun must be one.
    for call in ["say?x=in.order", "say?x=is.it"] {
        let refused = world.get(&format!("/rpc/{call}")).await;
        assert_eq!(refused.fault(), (400, "PGRST100".to_owned()), "{call}");
    }
    // Nor are there arguments where no function is called.
    let refused = world.send("OPTIONS /rpc/say?x=a", &[], "").await;
    assert_eq!(refused.fault(), (400, "PGRST100".to_owned()));
}

#[tokio::test]
async fn characters_and_bits_come_in_any_number() {
    let world = World::new().await;
    let added = "create function wide(c character, b bit, cs character[] default null) \
        returns text language sql immutable as $$ select c || ' ' || b || coalesce(cs[1], '') $$";
    world.project.execute(added).await.unwrap();
    let answer = world.rows("/rpc/wide?c=abc&b=101").await;
    assert_eq!(answer, json!("abc 101"));
    let body = r#"{"c":"abc","b":"101","cs":["xyz"]}"#;
    let answer = world.send("POST /rpc/wide", &[JSON], body).await;
    assert_eq!(answer.json(), json!("abc 101xyz"), "{}", answer.text());
}

#[tokio::test]
async fn any_body_may_leave_all_arguments_to_their_defaults() {
    let world = World::new().await;
    let text = ["Content-Type: text/plain"];
    let answer = world.send("POST /rpc/greet", &text, "ignored").await;
    assert_eq!((answer.status, answer.json()), (200, json!("hi you")));
    let nothing = world.send("POST /rpc/who", &text, "ignored").await;
    assert_eq!(nothing.fault(), (404, "PGRST202".to_owned()));
    let form = ["Content-Type: application/x-www-form-urlencoded"];
    let named = world
        .send("POST /rpc/greet?columns=loud", &form, "name=me")
        .await;
    assert_eq!(named.json(), json!("hi me"), "only JSON has its keys named");
}

#[tokio::test]
async fn single_object_takes_the_query_string_too() {
    let world = World::new().await;
    let whole = "create function whole(p json) returns json language sql immutable as 'select p'";
    world.project.execute(whole).await.unwrap();
    let single = ["Prefer: params=single-object"];
    let answer = world.send("GET /rpc/whole?x=1&y=a", &single, "").await;
    assert_eq!(answer.json(), json!({"x":"1","y":"a"}));
}

#[tokio::test]
async fn a_status_may_be_followed_by_its_words() {
    let world = World::new().await;
    let status = "create function status(s text) returns void language sql as \
        $$ select set_config('response.status', s, true) $$";
    world.project.execute(status).await.unwrap();
    let answer = world.send("POST /rpc/status", &[JSON], r#"{"s":"207 Multi"}"#);
    assert_eq!(answer.await.status, 207);
    let answer = world.send("POST /rpc/status", &[JSON], r#"{"s":"OK"}"#);
    assert_eq!(answer.await.fault(), (500, "PGRST112".to_owned()));
}
