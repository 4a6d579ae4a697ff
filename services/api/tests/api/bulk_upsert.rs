//! Files of rows over HTTP: inserts, changes, exact values, and that failures leave nothing.

use std::fmt::Write;

use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};

use crate::harness::{Answer, Api, send};
use crate::import::import;
use crate::values;

const BULK: &str = "/api/database/advance/bulk-upsert";

async fn upsert(
    api: &Api,
    file: &str,
    content: impl Into<Vec<u8>>,
    fields: &[(&str, &str)],
) -> Answer {
    let mut form = Form::new();
    for (name, value) in fields {
        form = form.text((*name).to_owned(), (*value).to_owned());
    }
    let part = Part::bytes(content.into()).file_name(file.to_owned());
    send(api.admin("POST", BULK).multipart(form.part("file", part))).await
}

async fn rows(api: &Api, query: &str) -> Value {
    let body = json!({ "query": query });
    let answer = send(
        api.admin("POST", "/api/database/advance/rawsql")
            .json(&body),
    )
    .await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body["rows"].clone()
}

const SCENE: &str = "CREATE TABLE items (sku text PRIMARY KEY, name text, price numeric DEFAULT 7, doc jsonb, tags text[]);
    CREATE SCHEMA shop; CREATE TABLE shop.\"Odd Name\" (\"a\"\"b\" int UNIQUE);
    CREATE VIEW cheap AS SELECT sku, name FROM items;";

#[tokio::test]
async fn rows_are_inserted_and_changed() {
    let api = Api::start().await;
    assert_eq!(import(&api, SCENE).await.status, 200);
    let csv = "sku,name,price\na,First,1.50\nb,,\n\nc,\"x, \"\"y\"\"\n\\N\",3\n";
    let inserted = upsert(&api, "items.CSV", csv, &[("table", "items")]).await;
    assert_eq!(
        inserted.body,
        json!({ "success": true, "message": "3 rows were written to items", "table": "items",
            "rowsAffected": 3, "totalRecords": 3, "filename": "items.CSV" }),
        "{inserted:?}"
    );
    assert_eq!(
        rows(&api, "SELECT sku, name, price FROM items ORDER BY sku").await,
        json!([{ "sku": "a", "name": "First", "price": "1.50" }, { "sku": "b", "name": null, "price": null },
            { "sku": "c", "name": "x, \"y\"\n\\N", "price": "3" }])
    );
    // Rows without a column leave it as it is.
    let json = r#"[{"sku":"a","price":12345678901234567890.10,"tags":["x",null,"a \"b\""]},
        {"name":"New","sku":"d","doc":{"big":12345678901234567890}}, {"sku":"b","doc":[1,2],"name":"B"}]"#;
    let fields = [("table", "items"), ("upsertKey", "sku")];
    let changed = upsert(&api, "items.json", json, &fields).await;
    assert_eq!(
        (&changed.body["rowsAffected"], &changed.body["totalRecords"]),
        (&json!(3), &json!(3)),
        "{changed:?}"
    );
    assert_eq!(
        rows(&api, "SELECT sku, name, price::text, doc::text, tags FROM items WHERE sku <> 'c' ORDER BY sku").await,
        json!([
            { "sku": "a", "name": "First", "price": "12345678901234567890.10", "doc": null, "tags": ["x", null, "a \"b\""] },
            { "sku": "b", "name": "B", "price": null, "doc": "[1, 2]", "tags": null },
            { "sku": "d", "name": "New", "price": "7", "doc": "{\"big\": 12345678901234567890}", "tags": null }])
    );
    let only_keys = upsert(&api, "items.json", r#"{"sku":"a"}"#, &fields).await;
    assert_eq!(only_keys.body["rowsAffected"], 0, "{only_keys:?}");
    let odd = [
        ("table", "Odd Name"),
        ("schema", "shop"),
        ("upsertKey", "a\"b"),
    ];
    assert_eq!(
        upsert(&api, "x.csv", "\u{feff}\"a\"\"b\"\n5\n", &odd)
            .await
            .body["rowsAffected"],
        1
    );
    let view = upsert(&api, "x.csv", "sku,name\nv,View\n", &[("table", "cheap")]).await;
    assert_eq!(view.body["rowsAffected"], 1, "{view:?}");
    let trail = send(api.admin(
        "GET",
        "/api/logs/audits?action=BULK_UPSERT&limit=1&offset=4",
    ))
    .await;
    assert_eq!(
        trail.body[0]["details"],
        json!({ "schemaName": "public", "table": "items", "filename": "items.CSV", "fileSize": csv.len(),
            "upsertKey": null, "rowsAffected": 3, "totalRecords": 3 })
    );
}

#[tokio::test]
async fn what_cannot_be_written_leaves_nothing() {
    let api = Api::start().await;
    assert_eq!(import(&api, SCENE).await.status, 200);
    let items = [("table", "items")];
    let keyed = [("table", "items"), ("upsertKey", "sku")];
    for (file, content, fields, text) in [
        ("a.csv", "sku\nx\n", &[][..], "table"),
        ("a.txt", "sku\nx\n", &items[..], ".csv or .json"),
        ("a.csv", "sku,name\n", &items, "no rows"),
        ("a.csv", "", &items, "no rows"),
        ("a.csv", "sku,name\nx\n", &items, "CSV"),
        ("a.csv", "sku,nothing\nx,y\n", &items, "nothing"),
        ("a.csv", "sku,price\nx,1\ny,z\n", &items, "numeric"),
        ("a.csv", "sku\nx\nx\n", &items, "duplicate key"),
        ("a.csv", "sku,name\nx,1\nx,2\n", &keyed, "second time"),
        ("a.csv", "name\nx\n", &keyed, "upsertKey"),
        (
            "a.csv",
            "sku,name\nx,1\n",
            &[("table", "items"), ("upsertKey", "name")],
            "unique",
        ),
        ("a.csv", "sku\nx\n", &[("table", "missing")], "missing"),
        (
            "a.csv",
            "sku\nx\n",
            &[("table", "missing"), ("upsertKey", "sku")],
            "missing",
        ),
        (
            "a.csv",
            "key\nx\n",
            &[("table", "secrets"), ("schema", "system")],
            "permission denied",
        ),
        (
            "a.csv",
            "oid\n1\n",
            &[("table", "pg_class"), ("schema", "pg_catalog")],
            "PostgreSQL itself",
        ),
        ("a.json", "[]", &items, "no rows"),
        ("a.json", "[{\"sku\":\"x\"},5]", &items, "JSON"),
        (
            "a.json",
            "[{\"sku\":\"x\"},{}]",
            &items,
            "at least one column",
        ),
        ("a.json", "{\"sku\":\"x\"", &items, "JSON"),
        (
            "a.json",
            "[{\"sku\":\"x\"},{\"name\":\"y\"}]",
            &keyed,
            "upsertKey",
        ),
        ("a.json", "[{\"sku\":\"a\\u0000b\"}]", &items, ""),
    ] {
        let answer = upsert(&api, file, content, fields).await;
        assert_eq!(
            answer.refusal(),
            (400, "INVALID_INPUT"),
            "{content:?} {answer:?}"
        );
        assert!(
            answer.text("message").contains(text),
            "{content:?} {answer:?}"
        );
    }
    assert_eq!(rows(&api, "SELECT * FROM items").await, json!([]));
    let form = Form::new().text("table", "items");
    let nothing = send(api.admin("POST", BULK).multipart(form)).await;
    assert_eq!(nothing.refusal(), (400, "INVALID_INPUT"));
    let stranger = api.anon("POST", BULK).multipart(Form::new());
    assert_eq!(send(stranger).await.refusal(), (401, "AUTH_UNAUTHORIZED"));
}

#[tokio::test]
async fn values_survive_exactly() {
    let api = Api::start().await;
    assert_eq!(
        import(&api, format!("{};{}", values::TABLE, values::NAMES))
            .await
            .status,
        200
    );
    let expected = values::expected(&api).await;
    for (file, content) in [("v.csv", values::csv()), ("v.json", values::json())] {
        for fields in [
            &[("table", "samples")][..],
            &[("table", "samples"), ("upsertKey", "id")],
        ] {
            let answer = upsert(&api, file, content.clone(), fields).await;
            assert_eq!(answer.status, 200, "{answer:?}");
            assert_eq!(
                values::printed(&api, "samples").await,
                expected,
                "{file} {fields:?}"
            );
        }
        rows(&api, "DELETE FROM samples").await;
    }
}

#[tokio::test]
async fn many_rows_go_through_in_batches() {
    let api = Api::start().await;
    assert_eq!(import(&api, SCENE).await.status, 200);
    let mut csv = "sku,name\n".to_owned();
    for id in 0..20_000 {
        writeln!(csv, "s{id},{}", "x".repeat(30)).unwrap();
    }
    for changed in [20_000, 20_000] {
        let fields = [("table", "items"), ("upsertKey", "sku")];
        let answer = upsert(&api, "a.csv", csv.clone(), &fields).await;
        assert_eq!(answer.body["rowsAffected"], changed, "{answer:?}");
    }
    assert_eq!(
        rows(&api, "SELECT count(*) FROM items").await,
        json!([{ "count": "20000" }])
    );
}
