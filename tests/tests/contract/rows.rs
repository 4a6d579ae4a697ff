//! Rows as table editors handle them.

use serde_json::{Value, json};

use crate::suite::{Call, Suite, call};

const SCENE: &str = "create table pets (id int primary key, name text, age int, doc jsonb,
        born date not null default '2020-01-01', tags text[], big bigint, owner uuid references auth.users (id));
    insert into pets (id, name, age, big) values (1, 'Rex', 3, 9007199254740993), (2, '50% 漢字', 5, null), (3, null, null, null);
    create table seats (a int, b int, who text, primary key (a, b));
    insert into seats values (1, 1, 'x'), (1, 2, 'y');
    create table keyless (a int, b text); insert into keyless values (1, 'x'), (1, 'y');
    create table \"odd \"\"name\" (\"odd column\" int primary key)";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reading() {
    let suite = Suite::start().await;
    let calls: Vec<Call> = vec![
        call("a scene", "POST /advance/rawsql").json(json!({ "query": SCENE })),
        call("all", "GET /admin/tables/pets/records?sort=id"),
        call(
            "a page",
            "GET /admin/tables/pets/records?sort=age:desc,id&limit=1&offset=1",
        ),
        call("past the end", "GET /admin/tables/pets/records?offset=9"),
        call("a search", "GET /admin/tables/pets/records?search=50%25"),
        call(
            "a filter",
            "GET /admin/tables/pets/records?filterColumn=big&filterValue=9007199254740993",
        ),
        call(
            "a filter of another type",
            "GET /admin/tables/pets/records?filterColumn=id&filterValue=x",
        ),
        call(
            "half a filter",
            "GET /admin/tables/pets/records?filterColumn=id",
        ),
        call(
            "a filter by nothing",
            "GET /admin/tables/pets/records?filterColumn=x&filterValue=1",
        ),
        call("no limit", "GET /admin/tables/pets/records?limit=0"),
        call(
            "a limit that is too large",
            "GET /admin/tables/pets/records?limit=501",
        ),
        call(
            "a limit that is none",
            "GET /admin/tables/pets/records?limit=many",
        ),
        call(
            "an offset below zero",
            "GET /admin/tables/pets/records?offset=-1",
        ),
        call("sorted by nothing", "GET /admin/tables/pets/records?sort=x"),
        call(
            "sorted sideways",
            "GET /admin/tables/pets/records?sort=id:up",
        ),
        call(
            "sorted by code",
            "GET /admin/tables/pets/records?sort=id;drop%20table%20pets",
        ),
        call(
            "a table that is missing",
            "GET /admin/tables/missing/records",
        ),
        call(
            "a name with a quote",
            "GET /admin/tables/odd%20%22name/records",
        ),
        call(
            "a schema of PostgreSQL",
            "GET /admin/tables/pg_class/records?schema=pg_catalog",
        ),
        call(
            "a table of the platform",
            "GET /admin/tables/channels/records?schema=realtime",
        ),
        call(
            "a closed table of the platform",
            "GET /admin/tables/logins/records?schema=system",
        ),
        call(
            "one row",
            "GET /admin/tables/seats/records/lookup?column=a&value=1&column=b&value=2",
        ),
        call(
            "no such row",
            "GET /admin/tables/pets/records/lookup?column=id&value=9",
        ),
        call(
            "one row by nothing",
            "GET /admin/tables/pets/records/lookup?column=x&value=9",
        ),
        call(
            "one row without a value",
            "GET /admin/tables/pets/records/lookup?column=id",
        ),
        call(
            "one row of another type",
            "GET /admin/tables/pets/records/lookup?column=id&value=x",
        ),
    ];
    suite.shows("rows-read", calls).await;
    suite.stop().await;
}

#[allow(clippy::too_many_lines, reason = "a table of cases")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writing() {
    let suite = Suite::start().await;
    let insert =
        |name: &'static str, rows: Value| call(name, "POST /admin/tables/pets/records").json(rows);
    let change = |name: &'static str, keys: Value, data: Value| {
        call(name, "PATCH /admin/tables/pets/records").json(json!({ "pkKeys": keys, "data": data }))
    };
    let remove = |name: &'static str, keys: Value| {
        call(name, "DELETE /admin/tables/pets/records").json(json!({ "pkKeys": keys }))
    };
    let nobody = "00000000-0000-0000-0000-000000000001";
    let calls: Vec<Call> = vec![
        call("a scene", "POST /advance/rawsql").json(json!({ "query": SCENE })),
        insert(
            "two rows",
            json!([{ "id": 10, "name": "", "age": "", "tags": ["a", "b c"], "doc": { "n": 1 } },
            { "id": "11", "big": 9_007_199_254_740_993_i64 }]),
        ),
        insert("no rows", json!([])),
        insert("no list", json!({ "id": 12 })),
        insert("rows that are none", json!([5])),
        insert("a column that is missing", json!([{ "id": 12, "x": 1 }])),
        insert("a key that is there", json!([{ "id": 12 }, { "id": 1 }])),
        insert("a value of another type", json!([{ "id": "twelve" }])),
        insert(
            "a number that is too large",
            json!([{ "id": 99_999_999_999_i64 }]),
        ),
        insert("a text with NUL", json!([{ "id": 12, "name": "a\0b" }])),
        insert(
            "null where none may be",
            json!([{ "id": 12, "born": null }]),
        ),
        insert(
            "an owner who is missing",
            json!([{ "id": 12, "owner": nobody }]),
        ),
        call("defaults alone", "POST /admin/tables/keyless/records").json(json!([{}])),
        call(
            "into a table that is missing",
            "POST /admin/tables/missing/records",
        )
        .json(json!([{ "a": 1 }])),
        call(
            "into the platform's",
            "POST /admin/tables/secrets/records?schema=system",
        )
        .json(json!([{ "key": "x" }])),
        change(
            "a change",
            json!({ "id": 10 }),
            json!({ "age": "", "name": "it's", "doc": [1, "2"] }),
        ),
        change(
            "a change of nothing",
            json!({ "id": 99 }),
            json!({ "age": 1 }),
        ),
        change("without keys", json!({}), json!({ "age": 1 })),
        change("without data", json!({ "id": 1 }), json!({})),
        change(
            "by another key",
            json!({ "name": "Rex" }),
            json!({ "age": 1 }),
        ),
        change(
            "by more than the key",
            json!({ "id": 1, "age": 3 }),
            json!({ "age": 1 }),
        ),
        change("by a list", json!({ "id": [1] }), json!({ "age": 1 })),
        change(
            "blank where none may be",
            json!({ "id": 1 }),
            json!({ "born": "" }),
        ),
        change(
            "a column that is missing",
            json!({ "id": 1 }),
            json!({ "x": 1 }),
        ),
        change(
            "a key that is there",
            json!({ "id": 1 }),
            json!({ "id": 2 }),
        ),
        call("by a key of two", "PATCH /admin/tables/seats/records")
            .json(json!({ "pkKeys": { "b": 2, "a": 1 }, "data": { "who": "z" } })),
        call("by half of a key", "PATCH /admin/tables/seats/records")
            .json(json!({ "pkKeys": { "a": 1 }, "data": { "who": "z" } })),
        call("without a key", "PATCH /admin/tables/keyless/records")
            .json(json!({ "pkKeys": { "b": "x" }, "data": { "a": 7 } })),
        remove(
            "two rows",
            json!([{ "id": 10 }, { "id": 11 }, { "id": 12 }]),
        ),
        remove("no rows", json!([{ "id": 10 }])),
        remove("no keys", json!([])),
        remove("an empty key", json!([{}])),
        remove("by another key", json!([{ "name": "Rex" }])),
        call(
            "the platform's",
            "DELETE /admin/tables/objects/records?schema=storage",
        )
        .json(json!({ "pkKeys": [{ "bucket": "x", "key": "y" }] })),
        call("what is left", "GET /admin/tables/pets/records?sort=id"),
    ];
    suite.shows("rows-written", calls).await;
    suite.stop().await;
}
