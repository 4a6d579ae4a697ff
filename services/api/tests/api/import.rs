//! Dumps over HTTP: what arrives in the database, what is told, and that failures leave nothing.

use std::fmt::Write;

use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};

use crate::harness::{Answer, Api, send};
use crate::values;

const IMPORT: &str = "/api/database/advance/import";

pub(crate) async fn import_file(
    api: &Api,
    name: &str,
    dump: impl Into<Vec<u8>>,
    truncate: Option<&str>,
) -> Answer {
    let file = Part::bytes(dump.into()).file_name(name.to_owned());
    let mut form = Form::new().part("file", file);
    // After the file on purpose: a form has no order.
    if let Some(truncate) = truncate {
        form = form.text("truncate", truncate.to_owned());
    }
    send(api.admin("POST", IMPORT).multipart(form)).await
}

pub(crate) async fn import(api: &Api, dump: impl Into<Vec<u8>>) -> Answer {
    import_file(api, "dump.sql", dump, None).await
}

async fn count(api: &Api, table: &str) -> i64 {
    let mut owner = api.project.superuser().await.unwrap();
    let sql = format!("select count(*) from {table}");
    sqlx::query_scalar(sqlx::AssertSqlSafe(sql))
        .fetch_one(&mut owner)
        .await
        .unwrap()
}

const DUMP: &str = "-- PostgreSQL database dump
\\restrict 5Zk
SET statement_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET row_security = off;
CREATE SCHEMA shop;
CREATE FUNCTION public.shout(t text) RETURNS text LANGUAGE sql IMMUTABLE BEGIN ATOMIC SELECT upper(t); END;
CREATE TABLE public.notes (id integer NOT NULL, body text);
CREATE TABLE shop.\"Orders; all\" (id bigint, note text);
COPY public.notes (id, body) FROM stdin;
1\ta;b -- 'c
2\t\\N
\\.

INSERT INTO public.notes VALUES (3, 'it''s; fine'), (4, E'it\\'s; fine');
INSERT INTO shop.\"Orders; all\" VALUES (9007199254740993, $x$ ; $x$);
ALTER TABLE ONLY public.notes ADD CONSTRAINT notes_pkey PRIMARY KEY (id);
\\unrestrict 5Zk
";

#[tokio::test]
async fn a_dump_is_imported_as_a_whole() {
    let api = Api::start().await;
    let answer = import(&api, DUMP).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(
        answer.body,
        json!({ "success": true, "message": "SQL file imported successfully", "filename": "dump.sql",
            "tables": ["notes", "shop.Orders; all"], "rowsImported": 5, "fileSize": DUMP.len() })
    );
    assert_eq!(count(&api, "public.notes where body ~ '; fine$'").await, 2);
    assert_eq!(
        count(&api, "shop.\"Orders; all\" where id = 9007199254740993").await,
        1
    );
    let mut owner = api.project.superuser().await.unwrap();
    let owners: Vec<String> = sqlx::query_scalar(
        "select distinct tableowner::text from pg_tables where schemaname in ('public', 'shop')",
    )
    .fetch_all(&mut owner)
    .await
    .unwrap();
    assert_eq!(owners, ["project_admin"]);
    let trail = send(api.admin("GET", "/api/logs/audits?action=IMPORT_DATABASE")).await;
    assert_eq!(
        trail.body[0]["details"],
        json!({ "truncate": false, "filename": "dump.sql", "fileSize": DUMP.len(),
            "tablesAffected": 2, "rowsImported": 5 })
    );

    // Again: the tables are there already, and nothing of the second attempt stays.
    let again = import(
        &api,
        "INSERT INTO notes VALUES (7, 'x');\n".to_owned() + DUMP,
    )
    .await;
    assert_eq!(again.refusal(), (400, "INVALID_INPUT"));
    assert_eq!(count(&api, "public.notes").await, 4);
    let rows = "INSERT INTO notes VALUES (1, 'new')";
    let emptied = import_file(&api, "ROWS.TXT", rows, Some("true")).await;
    assert_eq!(emptied.body["rowsImported"], 1, "{emptied:?}");
    assert_eq!(count(&api, "public.notes").await, 1);
    assert_eq!(count(&api, "shop.\"Orders; all\"").await, 1);
}

/// Dumps that fail on their second line or later: status, code, and parts of what is told.
const REFUSED: &[(&str, u16, &str, &str, &str)] = &[
    ("", 403, "FORBIDDEN", "empty", ""),
    (" \n ", 403, "FORBIDDEN", "empty", ""),
    ("SELEC 1;", 403, "FORBIDDEN", "SELEC", "line 2"),
    (
        "\nSET ROLE postgres;",
        403,
        "FORBIDDEN",
        "execution role",
        "line 3",
    ),
    (
        "SELECT set_config('role', 'x', false);",
        403,
        "FORBIDDEN",
        "set_config",
        "line 2",
    ),
    (
        "COMMIT; SELECT 1;",
        403,
        "FORBIDDEN",
        "Transaction control",
        "line 2",
    ),
    (
        "DO $$ BEGIN RESET ROLE; END $$;",
        403,
        "FORBIDDEN",
        "execution role",
        "",
    ),
    (
        "COPY t FROM PROGRAM 'id';",
        403,
        "FORBIDDEN",
        "programs",
        "",
    ),
    (
        "SELECT 1;\nINSERT INTO t VALUES (1);",
        400,
        "INVALID_INPUT",
        "duplicate key",
        "line 3",
    ),
    (
        "INSERT INTO missing VALUES (1);",
        400,
        "INVALID_INPUT",
        "missing",
        "line 2",
    ),
    (
        "DELETE FROM system.secrets;",
        400,
        "INVALID_INPUT",
        "permission denied",
        "line 2",
    ),
    (
        "COPY t FROM stdin;\nx\n\\.\n",
        400,
        "INVALID_INPUT",
        "integer",
        "line 2",
    ),
    (
        "COPY t FROM stdin;\n5\n5\n\\.\nSELECT 1;",
        400,
        "INVALID_INPUT",
        "duplicate key",
        "line 2",
    ),
    (
        "COPY nowhere FROM stdin;\n5\n\\.\n",
        400,
        "INVALID_INPUT",
        "nowhere",
        "line 2",
    ),
    ("COPY t TO STDOUT;", 400, "INVALID_INPUT", "COPY", ""),
    (
        "\\connect postgres\n",
        400,
        "INVALID_INPUT",
        "\\connect",
        "",
    ),
    (
        "CREATE INDEX CONCURRENTLY ON t (id);",
        400,
        "INVALID_INPUT",
        "transaction",
        "line 2",
    ),
];

#[tokio::test]
async fn what_cannot_be_imported_leaves_nothing_and_says_where() {
    let api = Api::start().await;
    assert_eq!(
        import(&api, "CREATE TABLE t (id int PRIMARY KEY)")
            .await
            .status,
        200
    );
    let first = "INSERT INTO t VALUES (1);\n";
    for (dump, status, code, text, hint) in REFUSED {
        let whole = if dump.trim().is_empty() {
            (*dump).to_owned()
        } else {
            format!("{first}{dump}")
        };
        let answer = import(&api, whole).await;
        assert_eq!(answer.refusal(), (*status, *code), "{dump} {answer:?}");
        assert!(answer.text("message").contains(text), "{dump} {answer:?}");
        let told = answer.body["nextActions"].as_str().unwrap_or_default();
        assert!(told.contains(hint), "{dump} {answer:?}");
        assert_eq!(count(&api, "t").await, 0, "{dump}");
    }
    assert_eq!(import(&api, "-- only words\n;").await.status, 200);
    let mut latin = b"SELECT 'x".to_vec();
    latin.extend([0xe4, b'\'', b';']);
    assert_eq!(import(&api, latin).await.refusal(), (400, "INVALID_INPUT"));
}

#[tokio::test]
async fn forms_are_checked() {
    let api = Api::start().await;
    let dump = || Part::text("SELECT 1").file_name("a.sql");
    for (form, status, code) in [
        (Form::new().text("truncate", "false"), 400, "INVALID_INPUT"),
        (Form::new().text("truncate", "yes"), 400, "INVALID_INPUT"),
        (
            Form::new().part("dump", dump()),
            400,
            "STORAGE_INVALID_PARAMETER",
        ),
        (
            Form::new().part("file", dump()).part("file", dump()),
            400,
            "STORAGE_INVALID_PARAMETER",
        ),
        (
            Form::new().part("file", dump().file_name("a.csv")),
            400,
            "INVALID_INPUT",
        ),
        (
            Form::new()
                .part("file", dump())
                .text("truncate", "x".repeat(10_000)),
            400,
            "INVALID_INPUT",
        ),
    ] {
        let answer = send(api.admin("POST", IMPORT).multipart(form)).await;
        assert_eq!(answer.refusal(), (status, code), "{answer:?}");
    }
    let nothing = send(api.admin("POST", IMPORT)).await;
    assert_eq!(nothing.refusal(), (400, "INVALID_INPUT"));
    let broken = api
        .admin("POST", IMPORT)
        .header("content-type", "multipart/form-data; boundary=x")
        .body("--x\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.sql\"\r\n\r\nSELECT");
    assert_eq!(send(broken).await.refusal(), (400, "INVALID_INPUT"));
    let stranger = api.anon("POST", IMPORT).multipart(Form::new());
    assert_eq!(send(stranger).await.refusal(), (401, "AUTH_UNAUTHORIZED"));

    let small = [("INGOT_MAX_IMPORT_SIZE", "100")];
    let service = ingot_testkit::TestService::start(&api.project, &small, ingot_api::serve)
        .await
        .unwrap();
    let large = Part::text("-".repeat(101)).file_name("a.sql");
    let request = service.request(reqwest::Method::POST, IMPORT);
    let request = request.bearer_auth(api.key.expose());
    let answer = send(request.multipart(Form::new().part("file", large))).await;
    assert_eq!(answer.refusal(), (413, "STORAGE_INVALID_PARAMETER"));
}

/// Every value of `values::TABLE`, as `INSERT` literals and as lines of `COPY`.
#[tokio::test]
async fn values_survive_an_import_exactly() {
    let api = Api::start().await;
    let mut dump = format!("{};\n", values::TABLE);
    dump.push_str(&values::inserts());
    let answer = import(&api, dump).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.body["rowsImported"], json!(values::ROWS.len()));
    assert_eq!(
        values::printed(&api, "samples").await,
        values::expected(&api).await
    );

    let mut copy = "DELETE FROM samples;\nCOPY samples FROM stdin;\n".to_owned();
    copy.push_str(&values::printed(&api, "samples").await);
    copy.push_str("\\.\n");
    let answer = import(&api, copy).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(
        values::printed(&api, "samples").await,
        values::expected(&api).await
    );
}

#[tokio::test]
async fn a_large_dump_needs_many_batches_and_all_or_nothing() {
    let api = Api::start().await;
    let mut dump = "CREATE TABLE t (id int, body text);\n".to_owned();
    for id in 0..3000 {
        writeln!(dump, "INSERT INTO t VALUES ({id}, '{}');", "x;".repeat(100)).unwrap();
    }
    let failing = dump.clone() + "SELECT 1/0;\n";
    let answer = import(&api, failing).await;
    assert_eq!(answer.refusal(), (400, "INVALID_INPUT"));
    assert!(
        answer.text("nextActions").contains("line 3002"),
        "{answer:?}"
    );
    let answer = import(&api, dump).await;
    assert_eq!(answer.body["rowsImported"], 3000, "{answer:?}");
    assert_eq!(count(&api, "t").await, 3000);
    let kept: Value = send(api.admin("GET", "/api/database/tables")).await.body;
    assert_eq!(kept, json!(["t"]));
}
