//! SQL, dumps and files.

use serde_json::{Value, json};

use crate::suite::{Call, Suite, call};

fn sql(name: &'static str, query: &str) -> Call {
    call(name, "POST /advance/rawsql").json(json!({ "query": query }))
}

fn with(name: &'static str, query: &str, params: Value) -> Call {
    let mut body = json!({ "query": query });
    body["params"] = params;
    call(name, "POST /advance/rawsql").json(body)
}

fn explain(name: &'static str, query: &str) -> Call {
    call(name, "POST /advance/rawsql").json(json!({ "query": query, "explain": true }))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn raw_sql() {
    let suite = Suite::start().await;
    let calls: Vec<Call> = vec![
        sql("a definition", "create table t (id int primary key, a text not null, r int references t)"),
        sql("an insertion", "insert into t values (1, 'x'), (2, 'y') returning id"),
        sql("a selection", "select id, a, now() > '2020-01-01' as late from t order by id"),
        sql("numbers", "select 1::int2 as s, 1::int8 as b, 1.50 as n, 'NaN'::float8 as f, 2::money as m, 7::oid as o"),
        sql("other values", "select true as flag, '\\x00ff'::bytea as bytes, '{1,2}'::int[] as list, '1 day 2 hours'::interval as span,
            '{\"a\":1}'::jsonb as doc, '(1,2)'::point as place, null as nothing, '2026-01-31 09:05:00.123456Z'::timestamptz as at"),
        call("the same as text", "POST /advance/rawsql?values=text").json(json!({ "query":
            "select true as flag, '\\x00ff'::bytea as bytes, 1::int8 as b, 'NaN'::float8 as f, '2026-01-31 09:05:00.123456Z'::timestamptz as at" })),
        call("values of another kind", "POST /advance/rawsql?values=xml").json(json!({ "query": "select 1" })),
        sql("one name twice", "select 1 as a, 2 as a"),
        sql("several statements", "select 1; select 2"),
        sql("a comment", "-- nothing"),
        sql("a block", "do $$ begin end $$"),
        sql("an update of nothing", "update t set a = 'z' where id = 9"),
        with("parameters", "select $1::int8 as a, $2 as b, $3::jsonb as c, $4::text[] as d, $5::bool as e",
            json!([9_007_199_254_740_993_i64, "it's \\ \"", { "n": [1, null] }, ["a", null, "b,c"], null])),
        with("too few parameters", "select $1::int as a, $2::int as b", json!([1])),
        with("a parameter of another type", "select $1::int as a", json!(["x"])),
        with("a parameter with NUL", "select $1 as a", json!(["a\0b"])),
        with("parameters of two statements", "select $1; select 2", json!([1])),
        with("parameters that are no list", "select 1", json!({ "a": 1 })),
        sql("blank", "  "),
        sql("empty", ""),
        sql("not SQL", "selec 1"),
        sql("another role", "set role postgres"),
        sql("a transaction of its own", "begin"),
        sql("the stream of a copy", "copy t to stdout"),
        sql("a table that is missing", "select * from missing"),
        sql("a column that is missing", "select missing from t"),
        sql("a function that is missing", "select missing(1)"),
        sql("a schema that is missing", "create table missing.t (a int)"),
        sql("a table that is there", "create table t (a int)"),
        sql("one column twice", "create table u (a int, a int)"),
        sql("a duplicate", "insert into t values (1, 'z')"),
        sql("a missing value", "insert into t (id) values (3)"),
        sql("a missing reference", "insert into t values (3, 'z', 9)"),
        sql("a reference to what is not unique", "create table u (a text references t (a))"),
        sql("a reference of another type", "create table u (a text references t (id))"),
        sql("no number", "select 'x'::int"),
        sql("division by zero", "select 1 / 0"),
        sql("a number out of range", "select 99999999999::int"),
        sql("an exception", "do $$ begin raise exception 'own words' using hint = 'own hint'; end $$"),
        sql("the platform's secrets", "update system.secrets set key = 'x'"),
        sql("outside of a transaction", "vacuum t"),
        sql("vacuum with others", "vacuum t; select 1"),
        explain("a plan", "select 1 as a"),
        explain("a plan of a change", "delete from t"),
        explain("a plan of a change in WITH", "with gone as (delete from t returning id) select count(*) from gone"),
        explain("a plan of nothing", "-- nothing"),
        explain("a plan of no SQL", "selec 1"),
        sql("nothing is gone", "select count(*) from t"),
        call("unrestricted", "POST /advance/rawsql/unrestricted").json(json!({ "query": "select current_user::text as role" })),
        call("unrestricted, refused", "POST /advance/rawsql/unrestricted").json(json!({ "query": "reset role" })),
        call("no query", "POST /advance/rawsql").json(json!({ "sql": "select 1" })),
        call("a query that is none", "POST /advance/rawsql").json(json!({ "query": ["select 1"] })),
    ];
    suite.shows("rawsql", calls).await;
    suite.stop().await;
}

const SCENE: &str = "create type mood as enum ('good', 'bad');
    create sequence counter start 5;
    create table people (id int primary key, name text not null default 'x', mood mood, born date);
    create table posts (id int primary key, author int references people (id) on delete cascade, tags text[]);
    create index posts_author on posts (author);
    alter table posts enable row level security;
    create policy own on posts for select to authenticated using (author > 0);
    create function shout(t text) returns text language sql as 'select upper(t)';
    create view names as select name from people;
    insert into people values (1, 'Ann', 'good', '2000-01-01'), (2, E'O''Brien \\\\ \"x\"', null, null);
    insert into posts values (1, 1, '{a,\"b c\"}'), (2, 1, null)";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn export() {
    let suite = Suite::start().await;
    let of = |name: &'static str, body: Value| call(name, "POST /advance/export").json(body);
    let everything =
        json!({ "includeFunctions": true, "includeSequences": true, "includeViews": true });
    let calls: Vec<Call> = vec![
        sql("a scene", SCENE),
        of("by default", json!({})),
        of("everything", everything.clone()),
        call("as a file", "POST /advance/export")
            .accept("application/sql")
            .json(everything),
        of(
            "as JSON",
            json!({ "format": "json", "includeFunctions": true, "includeSequences": true, "includeViews": true }),
        ),
        of(
            "one table, without rows",
            json!({ "tables": ["people"], "format": "json", "includeData": false }),
        ),
        of(
            "cut off",
            json!({ "tables": ["people"], "format": "json", "rowLimit": 1 }),
        ),
        of("as CSV by table", json!({ "format": "csv" })),
        call("as a CSV file", "POST /advance/export")
            .accept("text/csv")
            .json(json!({ "tables": ["people"] })),
        call("as a CSV file of two tables", "POST /advance/export")
            .accept("text/csv")
            .json(json!({ "tables": ["people", "posts"] })),
        of("a table that is missing", json!({ "tables": ["missing"] })),
        of(
            "a table that is missing, without rows",
            json!({ "tables": ["missing"], "includeData": false }),
        ),
        of("a name with a quote", json!({ "tables": ["a\"b"] })),
        of("no rows", json!({ "rowLimit": 0 })),
        of("too many rows", json!({ "rowLimit": 10_001 })),
        of("another format", json!({ "format": "xml" })),
        of("tables that are no list", json!({ "tables": "people" })),
        call("values of another kind", "POST /advance/export?values=xml").json(json!({})),
    ];
    suite.shows("export", calls).await;
    suite.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn import() {
    let suite = Suite::start().await;
    let of = |name: &'static str, text: &'static str| {
        call(name, "POST /advance/import").file("dump.sql", text, &[])
    };
    let calls: Vec<Call> = vec![
        of(
            "a dump",
            "create table t (a int, b text); insert into t values (1, 'x;y'), (2, 'z');",
        ),
        of(
            "lines of a copy",
            "COPY public.t (a, b) FROM stdin;\n3\tit's\n4\t\\N\n\\.\nselect 1;\n",
        ),
        call("emptied first", "POST /advance/import").file(
            "more.TXT",
            "insert into t values (9, 'new')",
            &[("truncate", "true")],
        ),
        sql("what is there", "select a, b from t order by a"),
        call("not emptied", "POST /advance/import").file(
            "d.sql",
            "select 1",
            &[("truncate", "false")],
        ),
        call("emptied perhaps", "POST /advance/import").file(
            "d.sql",
            "select 1",
            &[("truncate", "perhaps")],
        ),
        call("no file", "POST /advance/import").file("", "", &[("truncate", "true")]),
        call("no form", "POST /advance/import").json(json!({ "file": "select 1" })),
        call("another extension", "POST /advance/import").file("dump.zip", "select 1", &[]),
        of("empty", ""),
        of("only a comment", "-- nothing"),
        of("not SQL", "create table v (a int);\nselec 1;"),
        of("an open quote", "select 'open"),
        of(
            "an end that is missing",
            "COPY public.t (a, b) FROM stdin;\n3\tx\n",
        ),
        of(
            "a line that does not fit",
            "COPY public.t (a, b) FROM stdin;\n3\tx\ty\n\\.\n",
        ),
        of("another role", "select 1;\nreset role;"),
        of("a file of the server", "COPY t FROM '/etc/passwd';"),
        of("a command of psql", "\\! id"),
        of(
            "a failing one leaves nothing",
            "create table v (a int);\ninsert into v values (1);\nselect 1 / 0;",
        ),
        of(
            "a duplicate",
            "create table w (a int primary key); insert into w values (1), (1);",
        ),
        of("the platform's", "delete from storage.objects;"),
        call("what is left", "GET /tables"),
    ];
    suite.shows("import", calls).await;
    suite.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bulk_upsert() {
    let suite = Suite::start().await;
    let file = |name: &'static str, file: &'static str, text: &'static str, fields| {
        call(name, "POST /advance/bulk-upsert").file(file, text, fields)
    };
    let table: &[(&str, &str)] = &[("table", "t")];
    let keyed: &[(&str, &str)] = &[("table", "t"), ("upsertKey", "id")];
    let calls: Vec<Call> = vec![
        sql("a scene", "create table t (id int primary key, a text default 'none', doc jsonb, tags text[], n numeric);
            create schema shop; create table shop.\"odd name\" (id int)"),
        file("a CSV file", "t.csv", "\u{feff}id,a,n\r\n1,\"x, \"\"y\"\"\",1.50\r\n\r\n2,,\r\n", table),
        file("a JSON file", "t.json", "[{\"id\":3,\"doc\":{\"n\":12345678901234567890}},{\"id\":4,\"a\":\"\",\"tags\":[\"a\",\"b c\"]}]", table),
        file("one object", "t.JSON", "{\"id\": 5}", table),
        file("known rows", "t.csv", "id,a\n1,new\n6,six\n", keyed),
        file("known rows, the key alone", "t.csv", "id\n1\n7\n", keyed),
        file("in another schema", "t.csv", "id\n1\n", &[("table", "odd name"), ("schema", "shop")]),
        sql("what is there", "select * from t order by id"),
        file("a key that is there", "t.csv", "id\n8\n1\n", table),
        file("a key that is no column of the file", "t.csv", "a\nx\n", keyed),
        file("a key that is not unique", "t.csv", "id,a\n1,x\n", &[("table", "t"), ("upsertKey", "a")]),
        file("a column that is missing", "t.csv", "id,x\n8,y\n", table),
        file("a value of another type", "t.csv", "id\nx\n", table),
        file("a line that is too long", "t.csv", "id,a\n8,x,y\n", table),
        file("an open quote", "t.csv", "id,a\n8,\"x\n", table),
        file("a header alone", "t.csv", "id,a\n", table),
        file("an empty file", "t.csv", "", table),
        file("no JSON", "t.json", "[{\"id\":8}", table),
        file("rows that are none", "t.json", "[5]", table),
        file("an empty list", "t.json", "[]", table),
        file("another extension", "t.xml", "<a/>", table),
        file("no table", "t.csv", "id\n8\n", &[]),
        file("a table that is missing", "t.csv", "id\n8\n", &[("table", "missing")]),
        file("a schema of PostgreSQL", "t.csv", "id\n8\n", &[("table", "pg_class"), ("schema", "pg_catalog")]),
        file("the platform's", "t.csv", "key\nx\n", &[("table", "secrets"), ("schema", "system")]),
        file("no file", "", "", table),
        sql("what is left", "select count(*) from t"),
    ];
    suite.shows("bulk-upsert", calls).await;
    suite.stop().await;
}
