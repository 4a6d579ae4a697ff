//! Raw SQL over HTTP: answers, values, errors, and that nothing of it survives.

use std::time::Instant;

use serde_json::{Value, json};

use crate::harness::{Answer, Api, send};
use crate::values;

const RAW: &str = "/api/database/advance/rawsql";

async fn run(api: &Api, body: Value) -> Answer {
    send(api.admin("POST", RAW).json(&body)).await
}

async fn sql(api: &Api, query: &str) -> Answer {
    run(api, json!({ "query": query })).await
}

#[tokio::test]
async fn answers_have_the_contracts_shapes() {
    let api = Api::start().await;
    let created = sql(&api, "CREATE TABLE t (id int PRIMARY KEY, name text)").await;
    assert_eq!(
        created.body,
        json!({ "rows": [], "rowCount": null, "fields": [] })
    );
    let inserted = sql(&api, "INSERT INTO t VALUES (1, 'a'), (2, 'b')").await;
    assert_eq!(
        inserted.body,
        json!({ "rows": [], "rowCount": 2, "fields": [] })
    );
    let fields = json!([{ "name": "id", "dataTypeID": 23 }, { "name": "name", "dataTypeID": 25 }]);
    let found = sql(&api, "SELECT * FROM t ORDER BY id -- all").await;
    let rows = json!([{ "id": 1, "name": "a" }, { "id": 2, "name": "b" }]);
    assert_eq!(
        found.body,
        json!({ "rows": rows, "rowCount": 2, "fields": fields })
    );
    let none = sql(&api, "SELECT * FROM t WHERE false").await;
    assert_eq!(
        none.body,
        json!({ "rows": [], "rowCount": 0, "fields": fields })
    );
    let many = sql(&api, "INSERT INTO t VALUES (3, 'c'); SELECT * FROM t").await;
    assert_eq!(many.body, json!({ "rows": [] }));
    let comment = sql(&api, "-- nothing").await;
    assert_eq!(
        comment.body,
        json!({ "rows": [], "rowCount": null, "fields": [] })
    );
    let twice = sql(&api, "SELECT 1 AS a, 2 AS a").await;
    assert_eq!(twice.body["rows"], json!([{ "a": 2 }]));
    assert_eq!(sql(&api, "VACUUM t").await.status, 200);
    let unrestricted = api.admin("POST", &format!("{RAW}/unrestricted"));
    let who = send(unrestricted.json(&json!({ "query": "SELECT current_user" }))).await;
    assert_eq!(
        who.body["rows"],
        json!([{ "current_user": "project_admin" }])
    );
    // All statements of a text succeed or fail together.
    assert_eq!(sql(&api, "DELETE FROM t; SELECT 1/0").await.status, 400);
    assert_eq!(
        sql(&api, "SELECT count(*) FROM t").await.body["rows"],
        json!([{ "count": "3" }])
    );
    let trail = send(api.admin("GET", "/api/logs/audits?action=EXECUTE_RAW_SQL&limit=1")).await;
    assert_eq!(trail.body[0]["details"]["paramCount"], 0);
}

#[tokio::test]
async fn values_and_parameters_keep_their_types() {
    let api = Api::start().await;
    let query = "SELECT 9007199254740993::int8 AS big, 1.50::numeric AS exact, 'NaN'::float8 AS nan,
        true AS yes, NULL AS nothing, '\\x00ff'::bytea AS bytes, '{\"n\":12345678901234567890}'::jsonb AS j,
        '2026-01-31 09:05:00.123456+01'::timestamptz AS at, '1 day 2 hours'::interval AS span,
        ARRAY['a','b c'] AS list, 'ü'::text AS text";
    let row = sql(&api, query).await.body["rows"][0].clone();
    assert_eq!(row["big"], "9007199254740993");
    assert_eq!(row["exact"], "1.50");
    assert_eq!(
        (&row["nan"], &row["nothing"], &row["yes"]),
        (&json!(null), &json!(null), &json!(true))
    );
    assert_eq!(row["bytes"], json!({ "type": "Buffer", "data": [0, 255] }));
    assert_eq!(row["at"], "2026-01-31T08:05:00.123Z");
    assert_eq!(row["span"], json!({ "days": 1, "hours": 2 }));
    assert_eq!(
        (&row["list"], &row["text"]),
        (&json!(["a", "b c"]), &json!("ü"))
    );

    let body = json!({
        "query": "SELECT $1::int + 1 AS n, $2 AS text, $3::jsonb->'a' AS j, $4::int[] AS list, $5::bool AS b, $6::text IS NULL AS none",
        "params": [41, "it's \\ 'quoted'", { "a": [1] }, [1, 2, null], true, null],
    });
    let row = run(&api, body).await.body["rows"][0].clone();
    let expected = json!({ "n": 42, "text": "it's \\ 'quoted'", "j": [1], "list": [1, 2, null], "b": true, "none": true });
    assert_eq!(row, expected);
    for (query, params) in [
        ("SELECT 1; SELECT $1", json!([1])),
        ("SELECT $1::int", json!(["x"])),
        ("SELECT $1", json!([1, 2])),
        ("SELECT $1", json!(["a\0b"])),
    ] {
        let answer = run(&api, json!({ "query": query, "params": params })).await;
        assert_eq!(answer.status, 400, "{query} {answer:?}");
    }
    // A parameter is a value, whatever it says.
    let body = json!({ "query": "SELECT $1 AS v", "params": ["'); DROP TABLE t; --"] });
    assert_eq!(
        run(&api, body).await.body["rows"][0]["v"],
        "'); DROP TABLE t; --"
    );
}

#[tokio::test]
async fn errors_teach_and_leak_nothing() {
    let api = Api::start().await;
    sql(&api, "CREATE TABLE u (email text UNIQUE NOT NULL)").await;
    sql(&api, "INSERT INTO u VALUES ('a')").await;
    for (query, status, code, text) in [
        (
            "SELEC 1",
            403,
            "FORBIDDEN",
            "syntax error at or near \"SELEC\"",
        ),
        ("   ", 403, "FORBIDDEN", "empty"),
        ("SET ROLE postgres", 403, "FORBIDDEN", "execution role"),
        ("SELECT 1/0", 400, "INVALID_INPUT", "division by zero"),
        (
            "SELECT * FROM missing",
            400,
            "DATABASE_VALIDATION_ERROR",
            "missing",
        ),
        (
            "SELECT missing FROM u",
            400,
            "DATABASE_VALIDATION_ERROR",
            "missing",
        ),
        (
            "INSERT INTO u VALUES ('a')",
            409,
            "DATABASE_DUPLICATE",
            "u_email_key",
        ),
        ("INSERT INTO u VALUES (NULL)", 400, "MISSING_FIELD", "email"),
        ("SELECT 'x'::uuid", 400, "INVALID_INPUT", "uuid"),
        ("SELECT nothing()", 400, "INVALID_INPUT", "nothing"),
        ("CREATE TABLE u ()", 400, "DATABASE_DUPLICATE", "exists"),
        (
            "CREATE TABLE nowhere.t ()",
            400,
            "DATABASE_VALIDATION_ERROR",
            "nowhere",
        ),
        (
            "DO $$ BEGIN RAISE EXCEPTION 'my words'; END $$",
            400,
            "INVALID_INPUT",
            "my words",
        ),
        (
            "UPDATE system.secrets SET key = 'x'",
            403,
            "FORBIDDEN",
            "permission denied",
        ),
        (
            "CREATE INDEX CONCURRENTLY ON u (email); SELECT 1",
            400,
            "INVALID_INPUT",
            "CONCURRENTLY",
        ),
    ] {
        let answer = sql(&api, query).await;
        assert_eq!(answer.refusal(), (status, code), "{query} {answer:?}");
        assert!(answer.text("message").contains(text), "{query} {answer:?}");
    }
    let hint = sql(&api, "INSERT INTO u VALUES ('a')")
        .await
        .text("nextActions");
    assert!(hint.contains("field(email)"), "{hint}");
    for body in [
        json!({}),
        json!({ "query": "" }),
        json!({ "query": 1 }),
        json!([]),
    ] {
        let answer = run(&api, body.clone()).await;
        assert_eq!(answer.refusal(), (400, "INVALID_INPUT"), "{body}");
    }
}

#[tokio::test]
async fn plans_are_told_and_their_effects_undone() {
    let api = Api::start().await;
    sql(&api, "CREATE TABLE t (id int)").await;
    let explain = |query: &str| json!({ "query": query, "explain": true });
    let plan = run(&api, explain("SELECT * FROM t")).await;
    assert_eq!(
        plan.body["rows"][0]["QUERY PLAN"][0]["Plan"]["Node Type"],
        "Seq Scan"
    );
    assert_eq!(plan.body["rowCount"], json!(null));
    let changing = "WITH x AS (INSERT INTO t VALUES (1) RETURNING id) SELECT * FROM x";
    assert_eq!(run(&api, explain(changing)).await.status, 200);
    assert_eq!(sql(&api, "SELECT * FROM t").await.body["rowCount"], 0);
    for query in ["INSERT INTO t VALUES (1)", "nonsense", "-- nothing"] {
        assert_eq!(
            run(&api, explain(query)).await.refusal(),
            (400, "INVALID_INPUT"),
            "{query}"
        );
    }
}

#[tokio::test]
async fn nothing_of_a_request_survives_it() {
    let api = Api::start().await;
    for query in [
        "CREATE TEMP TABLE leftover (a int)",
        "SET lock_timeout = '7s'; SET TIME ZONE 'Asia/Tokyo'; SET request.jwt.claims = '{\"role\":\"x\"}'",
        "PREPARE leftover AS SELECT 1",
        "SELECT pg_advisory_lock(4711)",
        "LISTEN leftover",
        "DECLARE leftover CURSOR WITH HOLD FOR SELECT 1",
    ] {
        assert_eq!(sql(&api, query).await.status, 200, "{query}");
        let seen = sql(&api, "SELECT current_user::text AS u, session_user <> current_user AS switched,
            to_regclass('pg_temp.leftover')::text AS t, current_setting('lock_timeout') AS l,
            current_setting('TimeZone') <> 'Asia/Tokyo' AS z,
            current_setting('request.jwt.claims') AS c, (SELECT count(*) FROM pg_prepared_statements WHERE name = 'leftover') AS p,
            (SELECT count(*) FROM pg_cursors WHERE name = 'leftover') AS k, pg_try_advisory_lock(4711) AS free,
            (SELECT count(*) FROM pg_listening_channels()) AS n").await;
        assert_eq!(
            seen.body["rows"][0],
            json!({ "u": "project_admin", "switched": true, "t": null, "l": "0", "z": true,
                "c": "{\"role\":\"project_admin\"}", "p": "0", "k": "0", "free": true, "n": "0" }),
            "{query}"
        );
    }
}

#[tokio::test]
async fn long_statements_end_in_time() {
    let api = Api::start().await;
    let started = Instant::now();
    let answer = sql(&api, "SELECT pg_sleep(60)").await;
    assert_eq!(answer.refusal(), (408, "INVALID_INPUT"));
    assert!(answer.text("message").contains("30 seconds"));
    assert!((25..40).contains(&started.elapsed().as_secs()));
}

/// Every value of `values::TABLE`, written as a parameter, compared with what `psql` prints.
#[tokio::test]
async fn values_of_every_type_survive_exactly_when_asked_for_as_text() {
    let api = Api::start().await;
    assert_eq!(sql(&api, values::TABLE).await.status, 200);
    for (id, row) in values::ROWS.iter().enumerate() {
        let places: Vec<_> = (1..=row.len() + 1).map(|n| format!("${n}")).collect();
        let query = format!("INSERT INTO samples VALUES ({})", places.join(", "));
        let params: Vec<Value> = std::iter::once(json!(id))
            .chain(row.iter().map(|value| json!(value)))
            .collect();
        let inserted = run(&api, json!({ "query": query, "params": params })).await;
        assert_eq!(inserted.status, 200, "{inserted:?}");
    }
    assert_eq!(
        values::printed(&api, "samples").await,
        values::expected(&api).await
    );
    let query = json!({ "query": "SELECT * FROM samples ORDER BY id" });
    let exact = send(
        api.admin("POST", &format!("{RAW}?values=text"))
            .json(&query),
    )
    .await;
    let mut printed = values::by_psql(&api, "samples").into_iter();
    let names = printed.next().unwrap();
    let rows = exact.body["rows"].as_array().unwrap();
    assert_eq!(rows.len(), values::ROWS.len());
    for (row, by_psql) in rows.iter().zip(printed) {
        for (name, text) in names.iter().zip(by_psql) {
            assert_eq!(row[name], json!(text), "{name}");
        }
    }
    // The form that clients of InsForge know stays what it is.
    let known = run(&api, query).await;
    assert_eq!(known.body["rows"][0]["at"], "2026-01-31T03:35:00.123Z");
    assert_eq!(known.body["rows"][0]["number"], json!(4_294_967_295_u32));
    let wrong = send(
        api.admin("POST", &format!("{RAW}?values=hex"))
            .json(&json!({ "query": "SELECT 1" })),
    );
    assert_eq!(wrong.await.refusal(), (400, "INVALID_INPUT"));
}
