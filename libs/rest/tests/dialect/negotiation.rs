//! Reference, chapter "Resource Representation": what the client accepts, and what it sends.

use serde_json::json;

use crate::world::World;

#[tokio::test]
async fn quality_then_precision_then_order_decide() {
    let world = World::new().await;
    let (json, csv) = ("application/json; charset=utf-8", "text/csv; charset=utf-8");
    let cases = [
        ("text/csv, application/json;q=1.0", csv),
        ("application/json;q=1.0, text/csv", json),
        ("*/*, text/csv", csv),
        ("text/csv;q=0.2, */*;q=0.1", csv),
        ("text/csv; q=0.2, application/json; q=0.3", json),
        ("image/png, text/csv;header=present", csv),
        ("image/png, */*", json),
        ("Text/CSV", csv),
    ];
    for (accept, shown) in cases {
        let accept = format!("Accept: {accept}");
        let answer = world.send("GET /people?limit=1", &[&accept], "").await;
        assert_eq!(answer.header("content-type"), shown, "{accept}");
    }
    let refused = world.send("GET /people", &["Accept: Image/PNG; a=b;q=0.5, x/y"], "");
    assert_eq!(
        refused.await.json()["message"],
        "None of these media types are available: x/y, Image/PNG;a=b"
    );
}

#[tokio::test]
async fn geojson_needs_a_function_of_the_database() {
    let world = World::new().await;
    let geo = ["Accept: application/geo+json"];
    let missing = json!({
        "code": "42883",
        "details": null,
        "hint": "No function matches the given name and argument types. \
                 You might need to add explicit type casts.",
        "message": "function st_asgeojson(record) does not exist",
    });
    for url in ["/people", "/rpc/films_of?director=1", "/rpc/numbers?n=1"] {
        let answer = world.send(&format!("GET {url}"), &geo, "").await;
        assert_eq!(
            (answer.status, answer.json()),
            (404, missing.clone()),
            "{url}"
        );
    }
    // Where no row is shown, none is made.
    let head = world.send("HEAD /people", &geo, "").await;
    assert_eq!(head.status, 200);
    assert_eq!(
        head.header("content-type"),
        "application/geo+json; charset=utf-8"
    );
    let added = world.send("POST /items", &geo, r#"{"name":"a"}"#).await;
    assert_eq!(added.status, 201);
    let made = "create function st_asgeojson(record) returns text language plpgsql stable as \
        $$ begin return json_build_object('type', 'Feature', 'properties', row_to_json($1)); end $$";
    world.project.execute(made).await.unwrap();
    let answer = world.send("GET /people?select=id&id=eq.1", &geo, "").await;
    assert_eq!(
        answer.json(),
        json!({
            "type": "FeatureCollection",
            "features": [{"type": "Feature", "properties": {"id": 1}}],
        })
    );
}

#[tokio::test]
async fn only_json_has_its_columns_named() {
    let world = World::new().await;
    let full = "Prefer: return=representation";
    let csv = [full, "Content-Type: text/csv"];
    let added = world.send(
        "POST /items?select=name,amount&columns=name",
        &csv,
        "name,amount\na,1",
    );
    assert_eq!(added.await.json(), json!([{"name":"a","amount":1}]));
    let line = "PUT /pairs?a=eq.1&b=eq.x&columns=a,b";
    let body = r#"{"a":1,"b":"x","value":"v"}"#;
    let put = world.send(line, &[full], body).await;
    assert_eq!(put.json(), json!([{"a":1,"b":"x","value":"v"}]));
    for media in ["*/*", "Text/HTML; charset=utf-8"] {
        let header = format!("Content-Type: {media}");
        let refused = world.send("POST /items", &[&header], "{}").await;
        assert_eq!(refused.fault(), (400, "PGRST102".to_owned()), "{media}");
        let message = format!("Content-Type not acceptable: {media}");
        assert_eq!(refused.json()["message"], message);
    }
}

#[tokio::test]
async fn how_deep_json_may_nest_is_for_postgresql_to_say() {
    let world = World::new().await;
    let nested = |levels: usize| {
        let (open, close) = ("[".repeat(levels), "]".repeat(levels));
        format!(r#"{{"id":{levels},"title":"deep","data":{open}{close}}}"#)
    };
    let added = world.send("POST /films", &[], &nested(1000)).await;
    assert_eq!(added.status, 201, "{}", added.text());
    let refused = world.send("POST /films", &[], &nested(100_000)).await;
    assert_eq!(refused.fault(), (500, "54001".to_owned()));
    let broken = world
        .send("POST /films", &[], &nested(1000).replace("]]", "]"))
        .await;
    assert_eq!(broken.fault(), (400, "PGRST102".to_owned()));
    // Nor is there an end to lists of lists.
    let lists = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    let echo = async |levels: usize| world.send("POST /rpc/echo_json", &[], &lists(levels)).await;
    let given = echo(1000).await;
    assert_eq!((given.status, given.text()), (200, lists(1000)));
    assert_eq!(echo(100_000).await.fault(), (500, "54001".to_owned()));
}

#[tokio::test]
async fn the_address_of_a_new_row_names_its_key_in_order_of_the_columns() {
    let world = World::new().await;
    let table = "create table turned (a integer, b text, primary key (b, a)); \
        grant all on turned to anon";
    world.project.execute(table).await.unwrap();
    let headers = ["Prefer: return=headers-only"];
    let added = world
        .send("POST /turned", &headers, r#"{"b":"x y","a":1}"#)
        .await;
    assert_eq!(added.header("location"), "/turned?a=eq.1&b=eq.x%20y");
}
