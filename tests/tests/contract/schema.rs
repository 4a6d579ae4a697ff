//! Tables, and what the catalogue says of them.

use serde_json::{Value, json};

use crate::suite::{Call, Suite, call};

fn column(name: &str, kind: &str) -> Value {
    json!({ "columnName": name, "type": kind, "isNullable": true, "isUnique": false })
}

fn table(name: &str, columns: &Value) -> Value {
    json!({ "tableName": name, "columns": columns })
}

fn key(table: &str, column: &str, action: &str) -> Value {
    json!([{ "referenceTable": table, "onDelete": action, "onUpdate": "NO ACTION",
        "referenceColumns": [{ "sourceColumn": column, "referenceColumn": "id" }] }])
}

#[allow(clippy::too_many_lines, reason = "a table of cases")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables() {
    let suite = Suite::start().await;
    let of = |name: &'static str, body: Value| call(name, "POST /tables").json(body);
    let kinds = [
        "string", "date", "datetime", "integer", "float", "boolean", "uuid", "json",
    ];
    let all: Vec<Value> = kinds
        .iter()
        .map(|kind| {
            let mut column = column(&format!("a_{kind}"), kind);
            column["isNullable"] = json!(false);
            column
        })
        .collect();
    let owner = |action: &str| {
        let mut body = table(
            "notes",
            &json!([column("owner", "uuid"), column("Größe 漢字", "float")]),
        );
        body["foreignKeys"] = key("kinds", "owner", action);
        body["rlsEnabled"] = json!(false);
        body
    };
    let default = |value: &str| {
        let mut column = column("d", "string");
        column["defaultValue"] = json!(value);
        table("defaults", &json!([column]))
    };
    let calls: Vec<Call> = vec![
        call("none yet", "GET /tables"),
        of("every type", table("kinds", &json!(all))),
        of(
            "there already",
            table("kinds", &json!([column("a", "string")])),
        ),
        of("with a key", owner("CASCADE")),
        of("a key with no such action", owner("EXPLODE")),
        of("a default that is code", default("now(); drop table kinds")),
        of("no columns", table("t", &json!([]))),
        of(
            "only a reserved column",
            table("t", &json!([column("id", "uuid")])),
        ),
        of(
            "a reserved column of another type",
            table("t", &json!([column("id", "string")])),
        ),
        of("an unknown type", table("t", &json!([column("a", "blob")]))),
        of(
            "a name with a quote",
            table("a\"b", &json!([column("a", "string")])),
        ),
        of(
            "a name with NUL",
            table("a\0b", &json!([column("a", "string")])),
        ),
        of("a blank name", table("  ", &json!([column("a", "string")]))),
        of(
            "a name that is too long",
            table(&"x".repeat(65), &json!([column("a", "string")])),
        ),
        of(
            "a name longer than PostgreSQL's",
            table(&"x".repeat(64), &json!([column("a", "string")])),
        ),
        of(
            "two columns of one name",
            table("t", &json!([column("a", "string"), column("a", "string")])),
        ),
        of("columns that are none", table("t", &json!("a"))),
        call("in a schema that is missing", "POST /tables?schema=nowhere")
            .json(table("t", &json!([column("a", "string")]))),
        call("in a schema of the platform", "POST /tables?schema=auth")
            .json(table("t", &json!([column("a", "string")]))),
        call("in a schema of PostgreSQL", "GET /tables?schema=pg_catalog"),
        call("in a schema with a quote", "GET /tables?schema=a%22b"),
        call("of a schema that is missing", "GET /tables?schema=nowhere"),
        call("all", "GET /tables"),
        call("described", "GET /tables/kinds/schema"),
        call("described, with a key", "GET /tables/notes/schema"),
        call("described, missing", "GET /tables/missing/schema"),
        call("described, no name", "GET /tables/%22/schema"),
    ];
    suite.shows("tables", calls).await;
    let change =
        |name: &'static str, body: Value| call(name, "PATCH /tables/notes/schema").json(body);
    let fk = "fk_owner_kinds_id";
    let calls: Vec<Call> = vec![
        change("nothing", json!({})),
        change(
            "a column more",
            json!({ "addColumns": [column("more", "integer")] }),
        ),
        change(
            "the same again",
            json!({ "addColumns": [column("more", "integer")] }),
        ),
        change("a column less", json!({ "dropColumns": ["more"] })),
        change("an unknown column less", json!({ "dropColumns": ["more"] })),
        change("a reserved column less", json!({ "dropColumns": ["id"] })),
        change(
            "all columns less",
            json!({ "dropColumns": ["owner", "Größe 漢字"] }),
        ),
        change(
            "a default and a name",
            json!({ "updateColumns": [
            { "columnName": "Größe 漢字", "defaultValue": "1.5", "newColumnName": "size" }] }),
        ),
        change(
            "an unknown column",
            json!({ "updateColumns": [{ "columnName": "nothing", "defaultValue": "1" }] }),
        ),
        change("a key less", json!({ "dropForeignKeys": [fk] })),
        change("the key again", json!({ "dropForeignKeys": [fk] })),
        change(
            "a key to nothing",
            json!({ "addForeignKeys": key("nothing", "owner", "CASCADE") }),
        ),
        change(
            "a key of another type",
            json!({ "addForeignKeys": key("kinds", "size", "CASCADE") }),
        ),
        change(
            "a key more",
            json!({ "addForeignKeys": key("kinds", "owner", "SET NULL") }),
        ),
        change(
            "another name that is taken",
            json!({ "renameTable": { "newTableName": "kinds" } }),
        ),
        change(
            "another name",
            json!({ "renameTable": { "newTableName": "letters" } }),
        ),
        change("under the old name", json!({})),
        change("another shape", json!({ "addColumns": {} })),
        call(
            "a table of the platform",
            "PATCH /tables/users/schema?schema=auth",
        )
        .json(json!({ "dropColumns": ["email"] })),
        call("dropped", "DELETE /tables/letters"),
        call("dropped again", "DELETE /tables/letters"),
        call(
            "dropped, the platform's",
            "DELETE /tables/secrets?schema=system",
        ),
        call("what is left", "GET /tables"),
    ];
    suite.shows("table-changes", calls).await;
    suite.stop().await;
}

const SCENE: &str = "create schema app;
    create table app.people (id int primary key, name text unique);
    create table app._hidden (id int primary key);
    create index people_name on app.people (lower(name));
    alter table app.people enable row level security;
    create policy own on app.people for select to anon, authenticated using (id > 0);
    create policy write on app.people for insert with check (name <> '');
    create function app.touch() returns trigger language plpgsql as $$ begin return new; end $$;
    create procedure app.work(a int) language sql as 'select 1';
    create trigger touch before insert or update of name on app.people
        for each row when (new.id > 1) execute function app.touch();
    create trigger told after delete on app.people execute function app.touch()";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn catalogue() {
    let suite = Suite::start().await;
    let scene = call("a scene", "POST /advance/rawsql").json(json!({ "query": SCENE }));
    let mut calls = vec![scene, call("schemas", "GET /schemas")];
    for (all, first, found, none, odd) in [
        (
            "GET /functions?schema=app",
            "GET /functions?schema=app&limit=1",
            "GET /functions?schema=app&search=WORK",
            "GET /functions",
            "GET /functions?schema=app&limit=-1&offset=x&search=%25",
        ),
        (
            "GET /indexes?schema=app",
            "GET /indexes?schema=app&limit=1&offset=1",
            "GET /indexes?schema=app&search=pkey",
            "GET /indexes?schema=nowhere",
            "GET /indexes?schema=app&limit=99999999999999999999&offset=5",
        ),
        (
            "GET /policies?schema=app",
            "GET /policies?schema=app&limit=1",
            "GET /policies?schema=app&search=writ",
            "GET /policies",
            "GET /policies?schema=information_schema",
        ),
        (
            "GET /triggers?schema=app",
            "GET /triggers?schema=app&limit=2",
            "GET /triggers?schema=app&search=told",
            "GET /triggers",
            "GET /triggers?schema=%00",
        ),
    ] {
        calls.push(call("all", all));
        calls.push(call("a page", first));
        calls.push(call("a search", found));
        calls.push(call("nothing there", none));
        calls.push(call("odd parameters", odd));
    }
    suite.shows("catalogue", calls).await;
    suite.stop().await;
}
