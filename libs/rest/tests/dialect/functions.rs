//! Reference, chapter "Functions as RPC".

use serde_json::json;

use crate::world::World;

const JSON: &str = "Content-Type: application/json";

#[tokio::test]
async fn calls_by_post_take_a_json_object() {
    let world = World::new().await;
    let cases = [
        ("add", r#"{"a":1,"b":2}"#, json!(3)),
        ("greet", "", json!("hi you")),
        ("greet", "{}", json!("hi you")),
        ("greet", r#"{"loud":true}"#, json!("HI YOU")),
        ("greet", r#"{"name":"me"}"#, json!("hi me")),
        ("numbers", r#"{"n":3}"#, json!([1, 2, 3])),
        ("first_film?select=id", "{}", json!({"id":1})),
        (
            "films_of?select=id&order=id",
            r#"{"director":1}"#,
            json!([{"id":1},{"id":2}]),
        ),
        ("summary", "{}", json!({"films":5,"directors":3})),
        ("one_out", "{}", json!({"answer":42})),
        (
            "table_of",
            r#"{"n":2}"#,
            json!([{"i":1,"square":1},{"i":2,"square":4}]),
        ),
        ("no_value", "{}", json!(null)),
        (
            "echo_json",
            r#"{"any":["thing",1]}"#,
            json!({"any":["thing",1]}),
        ),
        ("echo_json", "[1,2]", json!([1, 2])),
        ("joined", r#"{"parts":["a","b"]}"#, json!("a-b")),
        ("over", r#"{"a":1}"#, json!("one")),
        ("over", r#"{"a":1,"b":2}"#, json!("two")),
    ];
    for (call, body, expected) in cases {
        let answer = world
            .send(&format!("POST /rpc/{call}"), &[JSON], body)
            .await;
        assert_eq!(
            (answer.status, answer.json()),
            (200, expected),
            "{call} {body}"
        );
    }
}

#[tokio::test]
async fn only_an_unnamed_argument_may_be_any_list() {
    let world = World::new().await;
    for body in ["[1,2]", r#"[{"a":1},{"b":2}]"#] {
        let answer = world.send("POST /rpc/add", &[JSON], body).await;
        assert_eq!(answer.fault(), (400, "PGRST102".to_owned()), "{body}");
    }
}

#[tokio::test]
async fn one_of_several_values_may_be_asked_for() {
    let world = World::new().await;
    let object = ["Accept: application/vnd.pgrst.object+json"];
    let one = world.send("GET /rpc/numbers?n=1", &object, "").await;
    assert_eq!(one.json(), json!({"pgrst_scalar":1}));
    let more = world.send("GET /rpc/numbers?n=2", &object, "").await;
    assert_eq!(more.fault(), (406, "PGRST116".to_owned()));
}

#[tokio::test]
async fn calls_by_get_take_the_query_string() {
    let world = World::new().await;
    let cases = [
        ("add?a=1&b=2", json!(3)),
        ("greet", json!("hi you")),
        ("greet?name=me&loud=true", json!("HI ME")),
        (
            "films_of?director=1&select=id&order=id.desc&limit=1",
            json!([{"id":2}]),
        ),
        (
            "films_of?director=1&year=lt.1960&select=title",
            json!([{"title":"Seven Samurai"}]),
        ),
        (
            "table_of?n=3&i=gte.2",
            json!([{"i":2,"square":4},{"i":3,"square":9}]),
        ),
        ("joined?parts=a&parts=b%2Cc", json!("a-b,c")),
        ("numbers?n=2", json!([1, 2])),
    ];
    for (call, expected) in cases {
        let answer = world.get(&format!("/rpc/{call}")).await;
        assert_eq!((answer.status, answer.json()), (200, expected), "{call}");
    }
    let head = world.send("HEAD /rpc/add?a=1&b=2", &[], "").await;
    assert_eq!((head.status, head.text().as_str()), (200, ""));
    let counted = world
        .send(
            "GET /rpc/table_of?n=5&limit=2",
            &["Prefer: count=exact"],
            "",
        )
        .await;
    assert_eq!(
        (counted.status, counted.header("content-range")),
        (206, "0-1/5")
    );
}

#[tokio::test]
async fn void_answers_nothing() {
    let world = World::new().await;
    let answer = world.send("POST /rpc/nothing", &[JSON], "{}").await;
    assert_eq!((answer.status, answer.text().as_str()), (204, ""));
}

#[tokio::test]
async fn methods_and_volatility_agree() {
    let world = World::new().await;
    let answer = world
        .send("POST /rpc/add_item", &[JSON], r#"{"name":"from rpc"}"#)
        .await;
    assert_eq!(answer.status, 200);
    let answer = world.get("/rpc/add_item?name=by%20get").await;
    assert_eq!(answer.fault(), (405, "25006".to_owned()));
    for method in ["PATCH", "PUT", "DELETE"] {
        let answer = world
            .send(&format!("{method} /rpc/add"), &[JSON], "{}")
            .await;
        assert_eq!(answer.fault(), (405, "PGRST101".to_owned()), "{method}");
    }
}

#[tokio::test]
async fn other_bodies_are_one_unnamed_argument() {
    let world = World::new().await;
    let text = world
        .send(
            "POST /rpc/echo_text",
            &["Content-Type: text/plain"],
            "plain words",
        )
        .await;
    assert_eq!(text.json(), json!("plain words"));
    let bytes = ["Content-Type: application/octet-stream"];
    let answer = world
        .send("POST /rpc/byte_count", &bytes, "\\ and \u{1} and é")
        .await;
    assert_eq!(answer.json(), json!(14));
    let xml = ["Content-Type: text/xml"];
    let answer = world.send("POST /rpc/markup", &xml, "<a>1</a>").await;
    assert_eq!(answer.json(), json!("<a>1</a>"));
    let form = "Content-Type: application/x-www-form-urlencoded";
    let answer = world.send("POST /rpc/add", &[form], "a=20&b=22").await;
    assert_eq!(answer.json(), json!(42));
}

#[tokio::test]
async fn unknown_and_ambiguous_functions_are_explained() {
    let world = World::new().await;
    let unknown = world.send("POST /rpc/ad", &[JSON], r#"{"a":1}"#).await;
    assert_eq!(unknown.fault(), (404, "PGRST202".to_owned()));
    let body = unknown.json();
    assert_eq!(
        body["message"],
        "Could not find the function public.ad(a) in the schema cache"
    );
    assert_eq!(
        body["hint"],
        "Perhaps you meant to call the function public.add"
    );
    let wrong = world
        .send("POST /rpc/add", &[JSON], r#"{"a":1,"c":2}"#)
        .await;
    assert_eq!(
        wrong.json()["details"],
        "Searched for the function public.add with parameters a, c or with a single unnamed \
         json/jsonb parameter, but no matches were found in the schema cache."
    );
    assert_eq!(
        wrong.json()["hint"],
        "Perhaps you meant to call the function public.add(a, b)"
    );
    let doubtful = world.get("/rpc/doubtful?a=1").await;
    assert_eq!(doubtful.fault(), (300, "PGRST203".to_owned()));
}

#[tokio::test]
async fn single_object_passes_the_body_as_one_argument() {
    let world = World::new().await;
    world
        .project
        .execute("create function whole(p json) returns json language sql immutable as 'select p'")
        .await
        .unwrap();
    let headers = [JSON, "Prefer: params=single-object"];
    let answer = world.send("POST /rpc/whole", &headers, r#"{"x":1}"#).await;
    assert_eq!(answer.json(), json!({"x":1}));
    assert_eq!(answer.header("preference-applied"), "params=single-object");
}

#[tokio::test]
async fn settings_shape_the_answer() {
    let world = World::new().await;
    let answer = world.send("POST /rpc/teapot", &[JSON], "{}").await;
    assert_eq!((answer.status, answer.header("x-tea")), (418, "green"));
    assert_eq!(answer.headers.get_all("set-cookie").iter().count(), 2);
    let answer = world.send("POST /rpc/bad_status", &[JSON], "{}").await;
    assert_eq!(answer.fault(), (500, "PGRST112".to_owned()));
    let answer = world.send("POST /rpc/bad_headers", &[JSON], "{}").await;
    assert_eq!(answer.fault(), (500, "PGRST111".to_owned()));
}

#[tokio::test]
async fn one_row_is_one_even_if_it_is_filtered_out() {
    let world = World::new().await;
    let object = ["Accept: application/vnd.pgrst.object+json"];
    for (headers, url) in [
        (&[][..], "/rpc/first_film?id=eq.9"),
        (&object[..], "/rpc/first_film?id=eq.9&select=id"),
        (&[][..], "/rpc/summary?films=lt.0"),
    ] {
        let answer = world.send(&format!("GET {url}"), headers, "").await;
        assert_eq!(
            (answer.status, answer.header("content-range"), answer.json()),
            (200, "0-0/*", json!(null)),
            "{url}"
        );
    }
}

#[tokio::test]
async fn values_have_no_columns() {
    let world = World::new().await;
    for (call, message) in [
        ("add?a=1&b=2&select=x", "column add.x does not exist"),
        ("add?a=1&b=2&c=eq.3", "column add.c does not exist"),
        ("add?a=1&b=2&order=c", "column add.c does not exist"),
        (
            "numbers?n=3&or=(c.eq.1,c.eq.2)",
            "column numbers.c does not exist",
        ),
        (
            "table_of?n=3&cube=eq.1",
            "column table_of.cube does not exist",
        ),
        (
            "table_of?n=3&select=cube",
            "column pgrst_call.cube does not exist",
        ),
    ] {
        let refused = world.get(&format!("/rpc/{call}")).await;
        assert_eq!(refused.fault(), (400, "42703".to_owned()), "{call}");
        assert_eq!(refused.json()["message"], message, "{call}");
    }
    let refused = world.get("/rpc/add?a=1&b=2&select=films(*)").await;
    assert_eq!(refused.fault(), (400, "PGRST200".to_owned()));
    let refused = world.get("/rpc/add?a=1&b=2&films.id=eq.1").await;
    assert_eq!(refused.fault(), (400, "PGRST108".to_owned()));
    assert_eq!(
        world.rows("/rpc/add?a=1&b=2&select=*&limit=1").await,
        json!(3)
    );
}
