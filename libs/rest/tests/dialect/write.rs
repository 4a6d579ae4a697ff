//! Reference, chapter "Tables and Views": insert, update, upsert, delete.

use serde_json::json;

use crate::world::World;

const FULL: &str = "Prefer: return=representation";

#[tokio::test]
async fn inserts_take_many_rows_in_many_forms() {
    let world = World::new().await;
    let body = r#"[{"name":"a","amount":1},{"amount":2,"name":"b"}]"#;
    let answer = world
        .send(
            "POST /items?select=name,amount",
            &[FULL, "Prefer: count=exact"],
            body,
        )
        .await;
    assert_eq!(
        answer.json(),
        json!([{"name":"a","amount":1},{"name":"b","amount":2}])
    );
    assert_eq!(answer.header("content-range"), "*/2");

    let csv = "name,note\nc,NULL\n\"d, too\",\"say \"\"hi\"\"\"\n";
    let headers = [FULL, "Content-Type: text/csv"];
    let answer = world
        .send("POST /items?select=name,note", &headers, csv)
        .await;
    assert_eq!(
        answer.json(),
        json!([{"name":"c","note":null},{"name":"d, too","note":"say \"hi\""}])
    );

    let headers = [FULL, "Content-Type: application/x-www-form-urlencoded"];
    let answer = world
        .send(
            "POST /items?select=name,amount",
            &headers,
            "name=e+e&amount=3",
        )
        .await;
    assert_eq!(answer.json(), json!([{"name":"e e","amount":3}]));

    let empty = world.send("POST /items", &[FULL], "[]").await;
    assert_eq!((empty.status, empty.json()), (201, json!([])));
    let defaults = world
        .send("POST /items?select=name,amount", &[FULL], "{}")
        .await;
    assert_eq!(defaults.json(), json!([{"name":"nameless","amount":7}]));
}

#[tokio::test]
async fn columns_and_missing_choose_what_is_written() {
    let world = World::new().await;
    let body = r#"[{"name":"a","amount":1,"unknown":true},{"name":"b"}]"#;
    let url = "POST /items?select=name,amount&columns=name,amount";
    let nulls = world.send(url, &[FULL], body).await;
    assert_eq!(
        nulls.json(),
        json!([{"name":"a","amount":1},{"name":"b","amount":null}])
    );
    let body = body.replace("\"a\"", "\"c\"").replace("\"b\"", "\"d\"");
    let defaults = world
        .send(url, &[FULL, "Prefer: missing=default"], &body)
        .await;
    assert_eq!(
        defaults.json(),
        json!([{"name":"c","amount":1},{"name":"d","amount":7}])
    );
    assert_eq!(
        defaults.header("preference-applied"),
        "missing=default, return=representation"
    );
    let quoted = "POST /items?select=name&columns=\"name\",\"amount\"";
    let answer = world
        .send(quoted, &[FULL], r#"{"name":"e","amount":2}"#)
        .await;
    assert_eq!(answer.json(), json!([{"name":"e"}]));
}

#[tokio::test]
async fn upserts_merge_or_ignore() {
    let world = World::new().await;
    let first = r#"[{"a":1,"b":"x","value":"old"},{"a":2,"b":"y","value":"old"}]"#;
    world.send("POST /pairs", &[], first).await;
    let second = r#"[{"a":1,"b":"x","value":"new"},{"a":3,"b":"z","value":"new"}]"#;
    let ignore = "Prefer: resolution=ignore-duplicates, return=representation";
    let answer = world.send("POST /pairs", &[ignore], second).await;
    assert_eq!(
        (answer.status, answer.json()),
        (201, json!([{"a":3,"b":"z","value":"new"}]))
    );
    let merge = "Prefer: resolution=merge-duplicates, return=representation";
    let answer = world
        .send("POST /pairs?select=a,value", &[merge], second)
        .await;
    assert_eq!(
        (answer.status, answer.json().as_array().unwrap().len()),
        (200, 2)
    );
    assert_eq!(
        answer.header("preference-applied"),
        "resolution=merge-duplicates, return=representation"
    );
    let third = r#"{"a":9,"b":"q","value":"new"}"#;
    let answer = world.send("POST /pairs", &[merge], third).await;
    assert_eq!(answer.status, 201);

    world
        .send("POST /items", &[], r#"{"name":"only","amount":1}"#)
        .await;
    let body = r#"{"name":"only","amount":2}"#;
    let conflict = world.send("POST /items", &[merge], body).await;
    assert_eq!(conflict.fault(), (409, "23505".to_owned()));
    let answer = world
        .send(
            "POST /items?on_conflict=name&select=name,amount",
            &[merge],
            body,
        )
        .await;
    assert_eq!(
        (answer.status, answer.json()),
        (200, json!([{"name":"only","amount":2}]))
    );
}

#[tokio::test]
async fn put_writes_the_row_of_the_url() {
    let world = World::new().await;
    let body = r#"{"a":1,"b":"x","value":"v"}"#;
    let created = world.send("PUT /pairs?a=eq.1&b=eq.x", &[FULL], body).await;
    assert_eq!(
        (created.status, created.json()[0]["value"].clone()),
        (201, json!("v"))
    );
    let replaced = world.send("PUT /pairs?a=eq.1&b=eq.x", &[FULL], body).await;
    assert_eq!(replaced.status, 200);
    let minimal = world.send("PUT /pairs?a=eq.1&b=eq.x", &[], body).await;
    assert_eq!((minimal.status, minimal.text().as_str()), (204, ""));
    let cases = [
        ("PUT /pairs?a=eq.1", 405, "PGRST105"),
        ("PUT /pairs?a=eq.1&b=neq.x", 405, "PGRST105"),
        ("PUT /pairs?a=eq.1&b=eq.x&value=eq.v", 405, "PGRST105"),
        ("PUT /pairs?a=eq.2&b=eq.x", 400, "PGRST115"),
        ("PUT /pairs?a=eq.1&b=eq.x&limit=1", 400, "PGRST114"),
    ];
    for (line, status, code) in cases {
        assert_eq!(
            world.send(line, &[], body).await.fault(),
            (status, code.to_owned()),
            "{line}"
        );
    }
    assert_eq!(world.rows("/pairs?select=a").await, json!([{"a":1}]));
}

#[tokio::test]
async fn updates_change_the_selected_rows() {
    let world = World::new().await;
    let answer = world
        .send(
            "PATCH /films?id=eq.1&select=id,title",
            &[FULL],
            r#"{"title":"7"}"#,
        )
        .await;
    assert_eq!(
        (answer.status, answer.json()),
        (200, json!([{"id":1,"title":"7"}]))
    );
    assert_eq!(answer.header("content-range"), "0-0/*");
    let minimal = world
        .send(
            "PATCH /films?year=eq.1985",
            &["Prefer: count=exact"],
            r#"{"seen":null}"#,
        )
        .await;
    assert_eq!(
        (minimal.status, minimal.header("content-range")),
        (204, "0-1/2")
    );
    let nobody = world
        .send("PATCH /films?id=eq.99", &[FULL], r#"{"title":"x"}"#)
        .await;
    assert_eq!((nobody.status, nobody.json()), (200, json!([])));
    assert_eq!(nobody.header("content-range"), "*/*");
    let nothing = world.send("PATCH /films?id=eq.1", &[FULL], "{}").await;
    assert_eq!((nothing.status, nothing.json()), (200, json!([])));
    let json_filter = world
        .send(
            "PATCH /films?data->>runtime=eq.90&select=id",
            &[FULL],
            r#"{"seen":true}"#,
        )
        .await;
    assert_eq!(json_filter.json(), json!([{"id":3}]));
    let object = "Accept: application/vnd.pgrst.object+json";
    let many = world
        .send(
            "PATCH /films?id=gt.1",
            &[FULL, object],
            r#"{"title":"same"}"#,
        )
        .await;
    assert_eq!(many.fault(), (406, "PGRST116".to_owned()));
    assert_eq!(
        world.rows("/films?title=eq.same&select=id").await,
        json!([]),
        "rolled back"
    );
}

#[tokio::test]
async fn deletes_remove_the_selected_rows() {
    let world = World::new().await;
    let answer = world
        .send(
            "DELETE /roles?film_id=eq.1&select=actor_id&order=actor_id",
            &[FULL],
            "",
        )
        .await;
    assert_eq!(
        (answer.status, answer.json()),
        (200, json!([{"actor_id":1},{"actor_id":2}]))
    );
    let answer = world
        .send("DELETE /roles", &["Prefer: count=exact"], "")
        .await;
    assert_eq!(
        (answer.status, answer.header("content-range")),
        (204, "*/1")
    );
    let referenced = world.send("DELETE /films?id=eq.1", &[], "").await;
    assert_eq!(referenced.fault(), (409, "23503".to_owned()));
}

#[tokio::test]
async fn limits_restrict_writes() {
    let world = World::new().await;
    let line = "PATCH /people?limit=1&order=id.desc&select=id";
    let answer = world.send(line, &[FULL], r#"{"name":"last"}"#).await;
    assert_eq!(answer.json(), json!([{"id":4}]));
    let answer = world
        .send(
            "DELETE /people?limit=1&offset=1&order=id.desc&select=id",
            &[FULL],
            "",
        )
        .await;
    assert_eq!(answer.json(), json!([{"id":3}]));
    let answer = world.send("DELETE /people?limit=1", &[], "").await;
    assert_eq!(answer.fault(), (400, "PGRST109".to_owned()));
    let answer = world
        .send("DELETE /keyless?limit=1&order=a&select=a", &[FULL], "")
        .await;
    assert_eq!(answer.json(), json!([{"a":1}]));
    // A table without unique columns has one that PostgreSQL gives it.
    let more = r#"[{"a":2,"b":"y"},{"a":2,"b":"z"}]"#;
    assert_eq!(world.send("POST /keyless", &[], more).await.status, 201);
    let answer = world
        .send(
            "DELETE /keyless?limit=1&order=ctid.desc&select=b",
            &[FULL],
            "",
        )
        .await;
    assert_eq!(answer.json(), json!([{"b":"z"}]));
    // What is ordered by must be unique.
    for (line, body) in [
        ("PATCH /keyless?limit=1&order=a", r#"{"b":"new"}"#),
        ("DELETE /keyless?limit=1&order=a", ""),
    ] {
        let refused = world.send(line, &[], body).await;
        assert_eq!(
            (refused.status, refused.json()),
            (
                400,
                json!({
                    "code": "PGRST110",
                    "details": "Results contain 2 rows changed but the maximum number allowed is 1",
                    "hint": null,
                    "message": "The maximum number of rows allowed to change was surpassed",
                })
            )
        );
    }
    let rows = world.rows("/keyless?select=b").await;
    assert_eq!(
        rows,
        json!([{"b":"y"},{"b":"y"}]),
        "and nothing has changed"
    );
}

#[tokio::test]
async fn the_location_has_the_name_as_it_is() {
    let world = World::new().await;
    let create = r#"create table "Odd; things" ("the id" integer primary key);
        grant all on "Odd; things" to anon"#;
    world.project.execute(create).await.unwrap();
    let answer = world
        .send(
            "POST /Odd; things",
            &["Prefer: return=headers-only"],
            r#"{"the id": 7}"#,
        )
        .await;
    assert_eq!(
        (answer.status, answer.header("location")),
        (201, "/Odd; things?the%20id=eq.7")
    );
}

#[tokio::test]
async fn what_was_written_comes_in_the_order_it_was_written() {
    let world = World::new().await;
    let body = r#"[{"name":"b"},{"name":"a"},{"name":"c"}]"#;
    let answer = world
        .send("POST /items?select=name&order=name&limit=1", &[FULL], body)
        .await;
    assert_eq!(
        answer.json(),
        json!([{"name":"b"},{"name":"a"},{"name":"c"}])
    );
}

#[tokio::test]
async fn max_affected_rolls_back() {
    let world = World::new().await;
    let strict = "Prefer: handling=strict, max-affected=1";
    let answer = world.send("DELETE /keyless", &[strict], "").await;
    assert_eq!(answer.fault(), (400, "PGRST124".to_owned()));
    assert_eq!(answer.json()["details"], "The query affects 2 rows");
    assert_eq!(
        world
            .rows("/keyless?select=a")
            .await
            .as_array()
            .unwrap()
            .len(),
        2
    );
    let lenient = world
        .send("DELETE /keyless", &["Prefer: max-affected=1"], "")
        .await;
    assert_eq!(lenient.status, 204);
}

#[tokio::test]
async fn unreadable_values_never_become_sql() {
    let world = World::new().await;
    let body = r#"{"name":"'); drop table items; --"}"#;
    let answer = world.send("POST /items?select=name", &[FULL], body).await;
    assert_eq!(answer.json()[0]["name"], "'); drop table items; --");
    let rows = world
        .rows("/items?name=eq.'%20or%20true--&select=name")
        .await;
    assert_eq!(rows, json!([]));
}
