//! Rows as the dashboard's table editor handles them.

use serde_json::{Value, json};

use crate::harness::{Answer, Api, send};
use crate::import::import;

const ADMIN: &str = "/api/database/admin/tables";

async fn call(api: &Api, method: &str, path: &str, body: Value) -> Answer {
    let request = api.admin(method, &format!("{ADMIN}/{path}"));
    let request = if body.is_null() {
        request
    } else {
        request.json(&body)
    };
    send(request).await
}

const SCENE: &str = "
    CREATE TABLE pets (id int PRIMARY KEY, name text, age int, born date NOT NULL DEFAULT '2020-01-01', doc jsonb, tags text[]);
    INSERT INTO pets (id, name, age) VALUES (1, 'Rex', 3), (2, 'rita 50%', 5), (3, NULL, NULL);
    CREATE TABLE seats (row_no int, seat int, who text, PRIMARY KEY (row_no, seat));
    INSERT INTO seats VALUES (1, 1, 'a'), (1, 2, 'b');
    CREATE TABLE keyless (a int, b text);
    INSERT INTO keyless VALUES (1, 'x'), (1, 'y'), (NULL, 'z');
    CREATE TABLE numbers (n int);
    CREATE SCHEMA shop; CREATE TABLE shop.\"odd name\" (id bigint PRIMARY KEY);";

async fn scene() -> Api {
    let api = Api::start().await;
    let answer = import(&api, SCENE).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    api
}

fn ids(answer: &Answer) -> Vec<i64> {
    let rows = answer
        .body
        .as_array()
        .unwrap_or_else(|| panic!("{answer:?}"));
    rows.iter().map(|row| row["id"].as_i64().unwrap()).collect()
}

#[tokio::test]
async fn rows_are_listed_and_looked_up() {
    let api = scene().await;
    for (query, status, range, found) in [
        ("sort=id", 200, "0-2/3", &[1, 2, 3][..]),
        ("sort=id:desc&limit=2", 206, "0-1/3", &[3, 2]),
        ("sort=id&limit=2&offset=2", 206, "2-2/3", &[3]),
        ("offset=5", 206, "5-2/3", &[]),
        ("search=RITA", 200, "0-0/1", &[2]),
        ("search=50%25", 200, "0-0/1", &[2]),
        ("search=_", 200, "0--1/0", &[]),
        ("filterColumn=age&filterValue=3", 200, "0-0/1", &[1]),
        ("sort=age:DESC,id", 200, "0-2/3", &[3, 2, 1]),
    ] {
        let answer = call(&api, "GET", &format!("pets/records?{query}"), Value::Null).await;
        assert_eq!(
            (answer.status, ids(&answer).as_slice()),
            (status, found),
            "{query} {answer:?}"
        );
        assert_eq!(answer.header("content-range"), Some(range), "{query}");
        assert_eq!(answer.header("preference-applied"), Some("count=exact"));
    }
    let none = call(&api, "GET", "numbers/records?search=x", Value::Null).await;
    assert_eq!(
        (none.status, none.header("content-range")),
        (200, Some("0--1/0"))
    );
    for (path, status, code) in [
        ("missing/records", 404, "DATABASE_NOT_FOUND"),
        ("pets/records?limit=501", 400, "INVALID_INPUT"),
        ("pets/records?sort=nothing", 400, "INVALID_INPUT"),
        ("pets/records?sort=id:up", 400, "INVALID_INPUT"),
        ("pets/records?filterColumn=id", 400, "INVALID_INPUT"),
        (
            "pets/records?filterColumn=id&filterValue=x",
            400,
            "INVALID_INPUT",
        ),
        (
            "pets/records?filterColumn=nothing&filterValue=1",
            400,
            "INVALID_INPUT",
        ),
        ("pets/records?schema=pg_catalog", 400, "INVALID_INPUT"),
        ("pe%22ts/records", 400, "DATABASE_VALIDATION_ERROR"),
        ("pets/records/lookup?column=id", 400, "INVALID_INPUT"),
        ("pets/records/lookup", 400, "INVALID_INPUT"),
        ("pets/nothing", 404, "NOT_FOUND"),
    ] {
        let answer = call(&api, "GET", path, Value::Null).await;
        assert_eq!(answer.refusal(), (status, code), "{path} {answer:?}");
    }
    let found = call(
        &api,
        "GET",
        "pets/records/lookup?column=id&value=2&column=age&value=5",
        Value::Null,
    )
    .await;
    assert_eq!(found.body["name"], "rita 50%");
    let none = call(
        &api,
        "GET",
        "pets/records/lookup?column=id&value=9",
        Value::Null,
    )
    .await;
    assert_eq!((none.status, none.body), (200, Value::Null));
    for path in ["pets/records", "pets/nothing"] {
        let stranger = api.anon("GET", &format!("{ADMIN}/{path}"));
        assert_eq!(
            send(stranger).await.refusal(),
            (401, "AUTH_UNAUTHORIZED"),
            "{path}"
        );
    }
}

#[tokio::test]
async fn rows_are_inserted_changed_and_removed() {
    let api = scene().await;
    let rows = json!([{ "id": 10, "name": "", "age": "", "born": "", "doc": { "big": 1 }, "tags": ["a", "b c"] }, { "id": "11" }]);
    let inserted = call(&api, "POST", "pets/records", rows).await;
    assert_eq!(inserted.status, 201, "{inserted:?}");
    assert_eq!(
        inserted.body,
        json!([
            { "id": 10, "name": "", "age": null, "born": "2020-01-01T00:00:00.000Z", "doc": { "big": 1 }, "tags": ["a", "b c"] },
            { "id": 11, "name": null, "age": null, "born": "2020-01-01T00:00:00.000Z", "doc": null, "tags": null }])
    );
    let defaults = call(&api, "POST", "keyless/records", json!([{}])).await;
    assert_eq!(defaults.body, json!([{ "a": null, "b": null }]));
    let big = call(
        &api,
        "POST",
        "odd%20name/records?schema=shop",
        json!([{ "id": "9007199254740993" }]),
    )
    .await;
    assert_eq!(big.body, json!([{ "id": "9007199254740993" }]), "{big:?}");

    let change = |keys: Value, data: Value| json!({ "pkKeys": keys, "data": data });
    let changed = call(
        &api,
        "PATCH",
        "pets/records",
        change(json!({ "id": 10 }), json!({ "age": "", "name": "it's" })),
    )
    .await;
    assert_eq!(
        (&changed.body["age"], &changed.body["name"]),
        (&json!(null), &json!("it's")),
        "{changed:?}"
    );
    let seat = call(
        &api,
        "PATCH",
        "seats/records",
        change(json!({ "seat": 2, "row_no": 1 }), json!({ "who": "c" })),
    )
    .await;
    assert_eq!(seat.body, json!({ "row_no": 1, "seat": 2, "who": "c" }));
    let without_key = call(
        &api,
        "PATCH",
        "keyless/records",
        change(json!({ "a": null, "b": "z" }), json!({ "a": 7 })),
    )
    .await;
    assert_eq!(without_key.body, json!({ "a": 7, "b": "z" }));

    let keys = json!({ "pkKeys": [{ "id": 10 }, { "id": 11 }, { "id": 12 }] });
    assert_eq!(
        call(&api, "DELETE", "pets/records", keys.clone())
            .await
            .body,
        json!({ "deletedCount": 2 })
    );
    assert_eq!(
        call(&api, "DELETE", "pets/records", keys).await.body,
        json!({ "deletedCount": 0 })
    );
}

type Case = (&'static str, &'static str, Value, u16, &'static str);

/// Sends what must be refused, and looks whether the rows are still there.
async fn refuses(cases: impl IntoIterator<Item = Case>) {
    let api = scene().await;
    for (method, path, body, status, code) in cases {
        let answer = call(&api, method, path, body.clone()).await;
        assert_eq!(
            answer.refusal(),
            (status, code),
            "{method} {path} {body} {answer:?}"
        );
    }
    let left = call(&api, "GET", "pets/records?sort=id", Value::Null).await;
    assert_eq!(ids(&left), [1, 2, 3]);
    assert_eq!(left.body[0]["age"], 3);
}

#[tokio::test]
async fn rows_that_cannot_be_inserted_change_nothing() {
    refuses([
        ("POST", "pets/records", json!([]), 400, "INVALID_INPUT"),
        (
            "POST",
            "pets/records",
            json!({ "id": 5 }),
            400,
            "INVALID_INPUT",
        ),
        (
            "POST",
            "pets/records",
            json!([{ "id": 5 }, { "nothing": 1 }]),
            400,
            "INVALID_INPUT",
        ),
        (
            "POST",
            "pets/records",
            json!([{ "id": 5 }, { "id": 1 }]),
            409,
            "DATABASE_DUPLICATE",
        ),
        (
            "POST",
            "pets/records",
            json!([{ "id": 5, "name": "a\u{0}b" }]),
            400,
            "INVALID_INPUT",
        ),
        (
            "POST",
            "pets/records",
            json!([{ "id": 5, "born": null }]),
            400,
            "MISSING_FIELD",
        ),
        (
            "POST",
            "missing/records",
            json!([{ "id": 5 }]),
            404,
            "DATABASE_NOT_FOUND",
        ),
        (
            "POST",
            "secrets/records?schema=system",
            json!([{ "key": "x" }]),
            403,
            "FORBIDDEN",
        ),
    ])
    .await;
}

#[tokio::test]
async fn rows_that_cannot_be_changed_or_removed_stay() {
    refuses([
        (
            "PATCH",
            "pets/records",
            json!({ "pkKeys": {}, "data": { "age": 1 } }),
            400,
            "INVALID_INPUT",
        ),
        (
            "PATCH",
            "pets/records",
            json!({ "pkKeys": { "id": 1 }, "data": {} }),
            400,
            "INVALID_INPUT",
        ),
        (
            "PATCH",
            "pets/records",
            json!({ "pkKeys": { "name": "Rex" }, "data": { "age": 1 } }),
            400,
            "INVALID_INPUT",
        ),
        (
            "PATCH",
            "pets/records",
            json!({ "pkKeys": { "id": 1, "age": 3 }, "data": { "age": 1 } }),
            400,
            "INVALID_INPUT",
        ),
        (
            "PATCH",
            "pets/records",
            json!({ "pkKeys": { "id": [1] }, "data": { "age": 1 } }),
            400,
            "INVALID_INPUT",
        ),
        (
            "PATCH",
            "pets/records",
            json!({ "pkKeys": { "id": 1 }, "data": { "born": "" } }),
            400,
            "INVALID_INPUT",
        ),
        (
            "PATCH",
            "pets/records",
            json!({ "pkKeys": { "id": 9 }, "data": { "age": 1 } }),
            404,
            "DATABASE_NOT_FOUND",
        ),
        (
            "PATCH",
            "seats/records",
            json!({ "pkKeys": { "seat": 1 }, "data": { "who": "z" } }),
            400,
            "INVALID_INPUT",
        ),
        (
            "DELETE",
            "pets/records",
            json!({ "pkKeys": [] }),
            400,
            "INVALID_INPUT",
        ),
        (
            "DELETE",
            "pets/records",
            json!({ "pkKeys": [{}] }),
            400,
            "INVALID_INPUT",
        ),
        (
            "DELETE",
            "seats/records",
            json!({ "pkKeys": [{ "row_no": 1 }] }),
            400,
            "INVALID_INPUT",
        ),
        (
            "DELETE",
            "secrets/records?schema=system",
            json!({ "pkKeys": [{ "id": "00000000-0000-0000-0000-000000000000" }] }),
            403,
            "FORBIDDEN",
        ),
    ])
    .await;
}
