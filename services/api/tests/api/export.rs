//! Exports over HTTP: the contract's shapes, streams, and that what goes out can come in again.

use serde_json::{Value, json};

use crate::harness::{Answer, Api, send};
use crate::import::{import, import_file};
use crate::values;

const EXPORT: &str = "/api/database/advance/export";

async fn export(api: &Api, body: Value) -> Answer {
    send(api.admin("POST", EXPORT).json(&body)).await
}

/// The answer's bytes when the file itself is wanted.
async fn file(api: &Api, accept: &str, body: Value) -> String {
    let request = api.admin("POST", EXPORT).header("accept", accept);
    let answer = request.json(&body).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert!(
        answer.headers()["content-type"]
            .to_str()
            .unwrap()
            .starts_with(accept)
    );
    answer.text().await.unwrap()
}

/// A small shop with everything that a dump has to carry.
const SHOP: &str = r#"
CREATE TYPE mood AS ENUM ('sad', 'it''s ok');
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE TYPE pair AS (a int, b text);
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.note := NEW.note || '!'; RETURN NEW; END $$;
CREATE TABLE zoo (id serial PRIMARY KEY, name varchar(20) NOT NULL DEFAULT 'x''y', UNIQUE (name));
CREATE TABLE animals (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    zoo_id int REFERENCES zoo (id) ON DELETE CASCADE,
    feeling mood, legs positive, extra pair, tags text[] DEFAULT '{}',
    double_id bigint GENERATED ALWAYS AS (zoo_id * 2) STORED,
    note text COLLATE "C", CONSTRAINT few CHECK (legs < 10));
CREATE INDEX by_feeling ON animals (feeling) WHERE legs > 2;
CREATE UNIQUE INDEX by_note ON animals (lower(note));
ALTER TABLE animals ENABLE ROW LEVEL SECURITY;
CREATE POLICY mine ON animals FOR UPDATE TO authenticated, anon USING (zoo_id = 1) WITH CHECK (legs > 1);
CREATE TRIGGER touched BEFORE INSERT OR UPDATE ON animals FOR EACH ROW WHEN (NEW.legs > 1) EXECUTE FUNCTION touch();
CREATE TABLE visits (day date NOT NULL, n int) PARTITION BY RANGE (day);
CREATE TABLE visits_2026 PARTITION OF visits FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
CREATE TABLE "Odd ""name"", here" ("a b" int);
CREATE SEQUENCE tickets START 5 INCREMENT 5;
CREATE VIEW happy AS SELECT id, note FROM animals WHERE feeling <> 'sad';
CREATE FUNCTION animals_of(z zoo) RETURNS SETOF animals LANGUAGE sql BEGIN ATOMIC SELECT * FROM animals WHERE zoo_id = z.id; END;
INSERT INTO zoo (name) VALUES ('north'), ('sou''th');
INSERT INTO animals (zoo_id, feeling, legs, extra, tags, note) VALUES
    (1, 'it''s ok', 4, '(1,"x, y")', '{a,"b c"}', E'line\n\\tab'), (2, NULL, 2, NULL, NULL, 'NULL');
INSERT INTO visits VALUES ('2026-05-01', 3);
INSERT INTO "Odd ""name"", here" VALUES (7);
"#;

const EVERYTHING: &str = r#"{"includeFunctions":true,"includeSequences":true,"includeViews":true}"#;

/// Definitions and rows as the catalogue tells them.
async fn state(api: &Api) -> Vec<String> {
    let mut owner = api.project.superuser().await.unwrap();
    let mut state: Vec<String> = sqlx::query_scalar(
        "select concat_ws(' ', c.relname, c.relkind, a.attname, format_type(atttypid, atttypmod), attnotnull,
                attidentity, attgenerated, pg_get_expr(adbin, adrelid), relrowsecurity)
         from pg_class c join pg_attribute a on attrelid = c.oid and attnum > 0
         left join pg_attrdef d on adrelid = c.oid and adnum = attnum
         where relnamespace = 'public'::regnamespace and relkind in ('r', 'p', 'v')
         union all select pg_get_indexdef(indexrelid) from pg_index x join pg_class c on c.oid = indrelid
            where relnamespace = 'public'::regnamespace
         union all select concat(conrelid::regclass, ' ', conname, ' ', pg_get_constraintdef(oid)) from pg_constraint
            where connamespace = 'public'::regnamespace
         union all select pg_get_triggerdef(t.oid) from pg_trigger t join pg_class c on c.oid = tgrelid
            where relnamespace = 'public'::regnamespace and not tgisinternal
         union all select p::text from pg_policies p where schemaname = 'public'
         union all select pg_get_functiondef(oid) from pg_proc where pronamespace = 'public'::regnamespace
         union all select concat(sequencename, ' ', last_value, ' ', start_value, ' ', increment_by)
            from pg_sequences where schemaname = 'public'
         union all select enumlabel::text from pg_enum
         union all select a::text from public.animals a union all select z::text from public.zoo z
         union all select v::text from public.visits v union all select happy::text from public.happy
         union all select o::text from public.\"Odd \"\"name\"\", here\" o
         order by 1",
    )
    .fetch_all(&mut owner)
    .await
    .unwrap();
    state.sort();
    state
}

#[tokio::test]
async fn what_goes_out_comes_in_again() {
    let api = Api::start().await;
    assert_eq!(import(&api, SHOP).await.status, 200);
    let before = state(&api).await;
    let everything: Value = serde_json::from_str(EVERYTHING).unwrap();
    let answer = export(&api, everything.clone()).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.body["format"], "sql");
    assert!(answer.body["truncatedTables"].is_null() && answer.body["rowLimit"].is_null());
    let as_inserts = answer.text("data");
    assert!(
        as_inserts.contains("INSERT INTO public.zoo (\"id\", \"name\") VALUES (2, 'sou''th');"),
        "{as_inserts}"
    );
    let as_copy = file(&api, "application/sql", everything).await;
    assert!(
        as_copy.contains("COPY public.zoo (\"id\", \"name\") FROM stdin;\n1\tnorth\n"),
        "{as_copy}"
    );
    for dump in [as_inserts, as_copy] {
        // Into an empty database, and over what is there.
        let fresh = Api::start().await;
        let imported = import(&fresh, dump.clone()).await;
        assert_eq!(imported.status, 200, "{imported:?}\n{dump}");
        assert_eq!(state(&fresh).await, before);
        let again = import_file(&fresh, "again.sql", dump, Some("true")).await;
        assert_eq!(again.status, 200, "{again:?}");
        assert_eq!(state(&fresh).await, before);
    }
}

#[tokio::test]
async fn values_survive_every_format() {
    let api = Api::start().await;
    let scene = format!("{};\n{}", values::TABLE, values::inserts());
    assert_eq!(import(&api, scene).await.status, 200);
    let expected = values::expected(&api).await;
    let inserts = export(&api, json!({})).await.text("data");
    let copy = file(&api, "application/sql", json!({})).await;
    for dump in [inserts, copy] {
        assert_eq!(
            import_file(&api, "v.sql", dump, Some("true")).await.status,
            200
        );
        assert_eq!(values::printed(&api, "samples").await, expected);
    }
    let mut owner = api.project.superuser().await.unwrap();
    sqlx::raw_sql("CREATE TABLE again (LIKE samples)")
        .execute(&mut owner)
        .await
        .unwrap();
    let csv = file(&api, "text/csv", json!({ "tables": ["samples"] })).await;
    let mut copy = owner
        .copy_in_raw("COPY again FROM stdin (FORMAT csv, HEADER)")
        .await
        .unwrap();
    copy.send(csv.as_bytes()).await.unwrap();
    assert_eq!(copy.finish().await.unwrap(), values::ROWS.len() as u64);
    assert_eq!(values::printed(&api, "again").await, expected);
    let body = json!({ "format": "json", "tables": ["samples"] });
    let exact = send(
        api.admin("POST", &format!("{EXPORT}?values=text"))
            .json(&body),
    )
    .await;
    let row = &exact.body["data"]["tables"]["samples"]["rows"][0];
    assert_eq!(row["at"], "2026-01-31 03:35:00.123456+00");
    assert_eq!(
        (&row["double"], &row["id"]),
        (&json!("Infinity"), &json!("0"))
    );
    let lossy = export(&api, body).await;
    let row = &lossy.body["data"]["tables"]["samples"]["rows"][0];
    assert_eq!(
        (&row["at"], &row["double"]),
        (&json!("2026-01-31T03:35:00.123Z"), &json!(null))
    );
    assert_eq!(row["big"], "9223372036854775807");
}

#[tokio::test]
async fn json_has_the_contracts_shape() {
    let api = Api::start().await;
    assert_eq!(import(&api, SHOP).await.status, 200);
    let mut body: Value = serde_json::from_str(EVERYTHING).unwrap();
    body["format"] = json!("json");
    body["rowLimit"] = json!(1);
    let answer = export(&api, body).await;
    assert_eq!(
        answer.body["truncatedTables"],
        json!(["animals", "zoo"]),
        "{answer:?}"
    );
    assert_eq!(answer.body["rowLimit"], 1);
    let data = &answer.body["data"];
    assert_eq!(data["timestamp"], answer.body["timestamp"]);
    let zoo = &data["tables"]["zoo"];
    assert_eq!(zoo["rows"], json!([{ "id": 1, "name": "north" }]));
    assert_eq!(
        (
            &zoo["truncated"],
            &zoo["exportedRowCount"],
            &zoo["totalRowCount"]
        ),
        (&json!(true), &json!(1), &json!(2))
    );
    assert_eq!(
        zoo["schema"][1],
        json!({ "columnName": "name", "dataType": "character varying",
        "characterMaximumLength": 20, "isNullable": "NO", "columnDefault": "'x''y'::character varying" })
    );
    assert_eq!(zoo["indexes"][1]["isPrimary"], true);
    let animals = &data["tables"]["animals"];
    assert_eq!(animals["rlsEnabled"], true);
    assert_eq!(
        animals["foreignKeys"][0]["referenceColumns"],
        json!([{ "sourceColumn": "zoo_id", "referenceColumn": "id" }])
    );
    assert_eq!(animals["foreignKeys"][0]["onDelete"], "CASCADE");
    assert_eq!(animals["policies"][0]["policyname"], "mine");
    assert_eq!(animals["triggers"][0]["actionTiming"], "BEFORE");
    assert_eq!(data["functions"].as_array().unwrap().len(), 2);
    assert_eq!(
        data["sequences"][1],
        json!({ "sequenceName": "tickets", "startValue": "5", "increment": "5",
        "minValue": "1", "maxValue": "9223372036854775807", "cycle": "NO" })
    );
    assert_eq!(data["views"][0]["viewName"], "happy");
    let sql = export(&api, json!({ "tables": ["zoo"], "rowLimit": 1 }))
        .await
        .text("data");
    assert!(sql.contains("-- WARNING: only 1 of 2 rows"), "{sql}");
    let csv = export(&api, json!({ "tables": ["zoo"], "format": "csv" })).await;
    assert_eq!(
        csv.body["data"],
        json!({ "zoo": "id,name\n1,north\n2,sou'th\n" })
    );
}

#[tokio::test]
async fn what_cannot_be_exported_is_refused() {
    let api = Api::start().await;
    for (body, code) in [
        (json!({ "format": "xml" }), "INVALID_INPUT"),
        (json!({ "rowLimit": 0 }), "INVALID_INPUT"),
        (json!({ "rowLimit": 10_001 }), "INVALID_INPUT"),
        (json!({ "tables": "t" }), "INVALID_INPUT"),
        (
            json!({ "tables": ["missing"] }),
            "DATABASE_VALIDATION_ERROR",
        ),
        (
            json!({ "tables": ["t\"; drop"] }),
            "DATABASE_VALIDATION_ERROR",
        ),
    ] {
        assert_eq!(
            export(&api, body.clone()).await.refusal(),
            (400, code),
            "{body}"
        );
    }
    let empty = export(
        &api,
        json!({ "tables": ["missing"], "format": "json", "includeData": false }),
    )
    .await;
    assert_eq!(
        empty.body["data"]["tables"]["missing"]["schema"],
        json!([]),
        "{empty:?}"
    );
    let two = api
        .admin("POST", EXPORT)
        .header("accept", "text/csv")
        .json(&json!({ "tables": [] }));
    assert_eq!(send(two).await.refusal(), (400, "INVALID_INPUT"));
    let stranger = api.anon("POST", EXPORT).json(&json!({}));
    assert_eq!(send(stranger).await.refusal(), (401, "AUTH_UNAUTHORIZED"));
    let trail = send(api.admin("GET", "/api/logs/audits?action=EXPORT_DATABASE")).await;
    assert_eq!(trail.body.as_array().unwrap().len(), 1);
    assert_eq!(trail.body[0]["details"], json!({ "format": "json" }));
}

#[tokio::test]
async fn many_rows_are_streamed() {
    let api = Api::start().await;
    assert_eq!(
        import(
            &api,
            "CREATE TABLE t AS SELECT n, repeat('x', 100) AS x FROM generate_series(1, 50000) n"
        )
        .await
        .status,
        200
    );
    let csv = file(&api, "text/csv", json!({ "tables": ["t"] })).await;
    assert_eq!(csv.lines().count(), 50_001);
    let sql = file(&api, "application/sql", json!({})).await;
    assert_eq!(
        sql.lines().filter(|line| line.ends_with("xxx")).count(),
        50_000
    );
}
