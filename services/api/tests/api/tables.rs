//! Tables by API, from creation to removal.

use serde_json::{Value, json};

use crate::harness::{Answer, Api, send};

const TABLES: &str = "/api/database/tables";

async fn create(api: &Api, body: &Value) -> Answer {
    send(api.admin("POST", TABLES).json(body)).await
}

async fn sql(api: &Api, query: &str) -> Answer {
    let body = json!({ "query": query });
    send(
        api.admin("POST", "/api/database/advance/rawsql")
            .json(&body),
    )
    .await
}

fn column(name: &str, column_type: &str) -> Value {
    json!({ "columnName": name, "type": column_type, "isNullable": true, "isUnique": false })
}

/// Books, which refer to the table `authors`.
async fn create_books(api: &Api) {
    let books = json!({
        "tableName": "books",
        "columns": [column("title", "string"), column("authorId", "uuid")],
        "foreignKeys": [{ "referenceTable": "authors", "onDelete": "CASCADE", "onUpdate": "NO ACTION",
            "referenceColumns": [{ "sourceColumn": "authorId", "referenceColumn": "id" }] }],
    });
    assert_eq!(create(api, &books).await.status, 201);
}

#[tokio::test]
async fn a_table_lives_from_creation_to_removal() {
    let api = Api::start().await;
    let body = json!({
        "tableName": "authors",
        "columns": [
            { "columnName": "id", "type": "uuid", "isNullable": false, "isUnique": true },
            { "columnName": "email", "type": "string", "isNullable": false, "isUnique": true },
            { "columnName": "joinedAt", "type": "datetime", "isNullable": false, "isUnique": false },
            { "columnName": "level", "type": "integer", "isNullable": true, "isUnique": false,
              "defaultValue": "5" },
            { "columnName": "note", "type": "string", "isNullable": true, "isUnique": false,
              "defaultValue": "x'; DROP TABLE authors; --" },
        ],
        "rlsEnabled": false,
    });
    let created = create(&api, &body).await;
    assert_eq!(created.status, 201, "{created:?}");
    assert_eq!(created.body["schemaName"], "public");
    assert_eq!(created.body["columns"][0]["sqlType"], "TEXT");
    assert_eq!(created.body["columns"].as_array().unwrap().len(), 4);
    assert_eq!(
        created.body["autoFields"],
        json!(["id", "created_at", "updated_at"])
    );

    create_books(&api).await;
    assert_eq!(
        send(api.admin("GET", TABLES)).await.body,
        json!(["authors", "books"])
    );
    let nothing = send(api.admin("GET", &format!("{TABLES}?schema=nowhere"))).await;
    assert_eq!(nothing.body, json!([]));

    let inserted = sql(
        &api,
        "INSERT INTO authors (email) VALUES ('a@b.c') RETURNING level, note",
    )
    .await;
    assert_eq!(inserted.body["rows"][0]["level"], 5);
    assert_eq!(
        inserted.body["rows"][0]["note"],
        "x'; DROP TABLE authors; --"
    );
    let described = send(api.admin("GET", &format!("{TABLES}/authors/schema")))
        .await
        .body;
    assert_eq!(described["recordCount"], 1);
    let columns = described["columns"].as_array().unwrap();
    assert_eq!(columns[0]["columnName"], "id");
    assert_eq!(columns[0]["isPrimaryKey"], true);
    assert_eq!(columns[0]["defaultValue"], "gen_random_uuid()");
    assert_eq!(columns[2]["type"], "datetime");
    assert_eq!(columns[3]["defaultValue"], "5");
    let described = send(api.admin("GET", &format!("{TABLES}/books/schema")))
        .await
        .body;
    assert_eq!(
        described["foreignKeys"],
        json!([{ "constraintName": "fk_authorId_authors_id", "referenceTable": "authors",
            "referenceColumns": [{ "sourceColumn": "authorId", "referenceColumn": "id" }],
            "onDelete": "CASCADE", "onUpdate": "NO ACTION" }])
    );

    // The table belongs to the administrator, keeps `updated_at`, and has row level security.
    let owner = sql(
        &api,
        "SELECT relowner::regrole AS owner, relrowsecurity FROM pg_class WHERE relname = 'books'",
    )
    .await;
    assert_eq!(
        owner.body["rows"],
        json!([{ "owner": "project_admin", "relrowsecurity": true }])
    );
    sql(&api, "UPDATE authors SET updated_at = '2000-01-01'").await;
    let kept = sql(
        &api,
        "SELECT updated_at > '2001-01-01' AS kept FROM authors",
    )
    .await;
    assert_eq!(kept.body["rows"], json!([{ "kept": true }]));

    for _ in 0..2 {
        let removed = send(api.admin("DELETE", &format!("{TABLES}/books"))).await;
        assert_eq!(removed.status, 200, "{removed:?}");
    }
    let trail = send(api.admin(
        "GET",
        "/api/logs/audits?module=DATABASE&action=CREATE_TABLE",
    ))
    .await;
    assert_eq!(trail.body[0]["details"]["tableName"], "books");
    assert_eq!(trail.body[0]["actor"], "api-key");
}

#[tokio::test]
async fn a_table_is_changed_step_by_step() {
    let api = Api::start().await;
    let authors = json!({ "tableName": "authors", "columns": [column("email", "string")] });
    assert_eq!(create(&api, &authors).await.status, 201);
    create_books(&api).await;
    let changes = json!({
        "dropForeignKeys": ["fk_authorId_authors_id"],
        "dropColumns": ["authorId"],
        "updateColumns": [{ "columnName": "title", "defaultValue": "none", "newColumnName": "name" }],
        "addColumns": [{ "columnName": "pages", "type": "integer", "isNullable": true, "isUnique": false }],
        "renameTable": { "newTableName": "volumes" },
    });
    let changed = send(
        api.admin("PATCH", &format!("{TABLES}/books/schema"))
            .json(&changes),
    )
    .await;
    assert_eq!(changed.status, 200, "{changed:?}");
    assert_eq!(changed.body["tableName"], "books");
    assert_eq!(changed.body["operations"].as_array().unwrap().len(), 6);
    let described = send(api.admin("GET", &format!("{TABLES}/volumes/schema")))
        .await
        .body;
    let names: Vec<_> = described["columns"]
        .as_array()
        .unwrap()
        .iter()
        .map(|column| column["columnName"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["id", "name", "created_at", "updated_at", "pages"]);
    let empty = send(
        api.admin("PATCH", &format!("{TABLES}/volumes/schema"))
            .json(&json!({})),
    )
    .await;
    assert_eq!(empty.body["operations"], json!([]));
}

#[tokio::test]
async fn what_makes_no_table_is_refused_with_its_code() {
    let api = Api::start().await;
    let table = |name: &str, columns: Value| json!({ "tableName": name, "columns": columns });
    let plain = json!([column("a", "string")]);
    assert_eq!(
        create(&api, &table("taken", plain.clone())).await.status,
        201
    );
    let reference = |table: &str, column: &str| {
        json!([{ "referenceTable": table, "onDelete": "CASCADE", "onUpdate": "CASCADE",
            "referenceColumns": [{ "sourceColumn": column, "referenceColumn": "id" }] }])
    };
    let with_key = |key: Value| {
        let mut body = table("t", plain.clone());
        body["foreignKeys"] = key;
        body
    };
    for (body, status, code) in [
        (json!({}), 400, "INVALID_INPUT"),
        (table("", plain.clone()), 400, "INVALID_INPUT"),
        (table("t", json!([])), 400, "INVALID_INPUT"),
        (
            table("a\"b", plain.clone()),
            400,
            "DATABASE_VALIDATION_ERROR",
        ),
        (
            table("t", json!([column("x\ny", "string")])),
            400,
            "DATABASE_VALIDATION_ERROR",
        ),
        (
            table("t", json!([column("a", "money")])),
            400,
            "DATABASE_VALIDATION_ERROR",
        ),
        (
            table("t", json!([column("id", "string")])),
            400,
            "DATABASE_VALIDATION_ERROR",
        ),
        (
            table("t", json!([column("id", "uuid")])),
            400,
            "DATABASE_VALIDATION_ERROR",
        ),
        (table("taken", plain.clone()), 400, "DATABASE_DUPLICATE"),
        (
            table("t", json!([column("a", "string"), column("a", "string")])),
            400,
            "DATABASE_VALIDATION_ERROR",
        ),
        (
            with_key(reference("taken", "id")),
            400,
            "DATABASE_FORBIDDEN",
        ),
        (with_key(reference("a.b.c", "a")), 400, "INVALID_INPUT"),
        (
            with_key(reference("missing", "a")),
            400,
            "DATABASE_VALIDATION_ERROR",
        ),
        (
            with_key(reference("taken", "a")),
            400,
            "DATABASE_VALIDATION_ERROR",
        ),
    ] {
        let answer = create(&api, &body).await;
        assert_eq!(answer.refusal(), (status, code), "{body} {answer:?}");
    }
    for (query, status, code) in [
        ("schema=pg_catalog", 400, "INVALID_INPUT"),
        ("schema=nowhere", 400, "DATABASE_VALIDATION_ERROR"),
        ("schema=auth", 403, "FORBIDDEN"),
        ("schema=system", 403, "FORBIDDEN"),
    ] {
        let path = format!("{TABLES}?{query}");
        let answer = send(api.admin("POST", &path).json(&table("t", plain.clone()))).await;
        assert_eq!(answer.refusal(), (status, code), "{query}");
    }
    let secret = send(api.admin("DELETE", &format!("{TABLES}/secrets?schema=system"))).await;
    assert_eq!(secret.refusal(), (403, "FORBIDDEN"));
    let stranger = send(api.anon("GET", TABLES)).await;
    assert_eq!(stranger.refusal(), (401, "AUTH_UNAUTHORIZED"));
}

#[tokio::test]
async fn impossible_changes_are_refused_with_their_code() {
    let api = Api::start().await;
    let taken = json!({ "tableName": "taken", "columns": [column("a", "string")] });
    assert_eq!(create(&api, &taken).await.status, 201);
    for (path, body, status, code) in [
        ("missing", json!({}), 404, "DATABASE_NOT_FOUND"),
        (
            "taken",
            json!({ "dropColumns": ["a"] }),
            400,
            "DATABASE_VALIDATION_ERROR",
        ),
        (
            "taken",
            json!({ "dropColumns": ["id"] }),
            404,
            "DATABASE_FORBIDDEN",
        ),
        (
            "taken",
            json!({ "dropForeignKeys": ["x"] }),
            404,
            "DATABASE_NOT_FOUND",
        ),
        ("taken", json!({ "dropColumns": "a" }), 400, "INVALID_INPUT"),
    ] {
        let path = format!("{TABLES}/{path}/schema");
        let answer = send(api.admin("PATCH", &path).json(&body)).await;
        assert_eq!(answer.refusal(), (status, code), "{path} {body}");
    }
}
