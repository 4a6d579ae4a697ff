//! The guard as its callers see it: what passes, what is refused by which rule, and what a script
//! is said to change.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use ingot_sql_guard::{Guard, Profile, Refusal, Script};

async fn check(sql: &str) -> Result<Script, Refusal> {
    Guard::new(2).check(Profile::RawSql, sql.to_owned()).await
}

async fn rule(sql: &str) -> &'static str {
    match check(sql).await {
        Err(Refusal::Rule { rule, .. }) => rule.id,
        Err(other) => panic!("{sql}: {other}"),
        Ok(_) => "none",
    }
}

#[tokio::test]
async fn ordinary_sql_passes() {
    for sql in [
        "SELECT 'set_config', \"set_config_x\" FROM t -- set_config\n /* SET ROLE postgres */",
        "SELECT a_set_config(), set_configx()",
        "INSERT INTO notes(body) VALUES ('SET search_path TO x; DROP DATABASE y; COMMIT;')",
        "SELECT $$ RESET ROLE; $$",
        "CREATE TABLE users (id uuid primary key default gen_random_uuid(), role text, \"end\" int)",
        "UPDATE users SET role = 'admin', search_path = 'x' WHERE id = 1",
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql SECURITY DEFINER SET search_path = '' AS 'SELECT 1'",
        "ALTER FUNCTION f() SET search_path = public",
        "CREATE FUNCTION t() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN
           UPDATE users SET role = 'x' WHERE id = NEW.id;
           PERFORM realtime.publish('orders', 'insert', to_jsonb(NEW));
           IF NEW.a THEN SET LOCAL work_mem = '4MB'; END IF;
           EXECUTE 'SELECT 1';
           EXECUTE format('CREATE TABLE %I (id int)', NEW.name);
           RETURN NEW;
         END $$",
        "DO $$ BEGIN CREATE TYPE mood AS ENUM ('sad'); EXCEPTION WHEN duplicate_object THEN NULL; END $$",
        "CREATE POLICY p ON t FOR SELECT TO authenticated USING (auth.uid() = user_id)",
        "GRANT SELECT ON t TO anon; ALTER TABLE t ENABLE ROW LEVEL SECURITY",
        "SET TIME ZONE 'UTC'; SHOW search_path; SET lock_timeout = '1s'",
        "VACUUM t",
        "SET client_encoding = 'UTF8'; SET NAMES 'utf-8'; SET standard_conforming_strings = on",
        "SELECT query_to_xml('SELECT 1', true, true, '')",
        "EXPLAIN ANALYZE SELECT 1",
        "CREATE EXTENSION IF NOT EXISTS pgcrypto",
        "CREATE FUNCTION f(a int) RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT 1; SELECT a; END",
        ";",
        "-- nothing",
    ] {
        if let Err(refusal) = check(sql).await {
            panic!("{sql}: {refusal}");
        }
    }
}

#[tokio::test]
async fn each_rule_refuses() {
    for (sql, expected) in [
        ("CREATE DATABASE x", "database-management"),
        ("ALTER DATABASE x RENAME TO y", "database-management"),
        (
            "ALTER DATABASE x SET role = postgres",
            "database-management",
        ),
        ("ALTER DATABASE x OWNER TO y", "database-management"),
        ("SET ROLE postgres", "execution-role"),
        ("SET \"role\" TO DEFAULT", "execution-role"),
        ("SELECT 1; reset role", "execution-role"),
        ("SET SESSION AUTHORIZATION postgres", "execution-role"),
        ("SET LOCAL SESSION AUTHORIZATION DEFAULT", "execution-role"),
        ("RESET ALL", "execution-role"),
        ("DISCARD ALL", "execution-role"),
        ("SELECT set_config('role', 'postgres', false)", "set-config"),
        (
            "SELECT pg_catalog . \"set_config\" ('a.b', 'c', true)",
            "set-config",
        ),
        (
            "WITH x AS (SELECT SET_CONFIG('role','postgres',false)) SELECT * FROM x",
            "set-config",
        ),
        (
            "EXPLAIN ANALYZE SELECT set_config('role', 'postgres', false)",
            "set-config",
        ),
        (
            "PREPARE p AS SELECT set_config('role', 'postgres', false)",
            "set-config",
        ),
        (
            "CREATE RULE r AS ON INSERT TO t DO ALSO SELECT set_config('role','postgres',false)",
            "set-config",
        ),
        (
            "CREATE TABLE t (a text DEFAULT set_config('role', 'postgres', false))",
            "set-config",
        ),
        (
            "COPY (SELECT set_config('role','x',false)) TO PROGRAM 'sh'",
            "set-config",
        ),
        ("SET search_path TO x", "search-path"),
        ("SET client_encoding = 'SJIS'", "reading-of-sql"),
        ("SET NAMES 'latin1'", "reading-of-sql"),
        ("SET standard_conforming_strings = off", "reading-of-sql"),
        (
            "SET session_replication_role = replica",
            "server-configuration",
        ),
        (
            "CREATE AGGREGATE public.a (text, boolean) (sfunc = pg_catalog.set_config, stype = text)",
            "set-config",
        ),
        (
            "SELECT query_to_xml('SELECT set_config(''role'', ''x'', false)', true, true, '')",
            "set-config",
        ),
        ("SET SCHEMA 'x'", "search-path"),
        ("RESET statement_timeout", "statement-timeout"),
        ("CREATE ROLE x SUPERUSER", "role-management"),
        ("GRANT postgres TO project_admin", "role-management"),
        (
            "ALTER USER x IN DATABASE y SET role = 'z'",
            "role-management",
        ),
        ("ALTER ROLE project_admin RENAME TO x", "role-management"),
        ("DROP OWNED BY project_admin", "role-management"),
        ("BEGIN", "transaction-control"),
        ("SELECT 1; COMMIT; SELECT 2", "transaction-control"),
        ("PREPARE TRANSACTION 'x'", "transaction-control"),
        (
            "ALTER SYSTEM SET log_statement = 'all'",
            "server-configuration",
        ),
        ("LOAD 'x'", "server-configuration"),
        ("COPY t TO PROGRAM 'cat'", "server-files"),
        ("COPY t FROM '/etc/passwd'", "server-files"),
        ("SELECT pg_read_file('/etc/passwd')", "server-files"),
        ("COPY t TO STDOUT", "copy-stream"),
        (
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity",
            "other-sessions",
        ),
        (
            "SELECT * FROM dblink('dbname=postgres', 'select 1') AS t(a int)",
            "other-databases",
        ),
        ("CREATE EXTENSION dblink", "other-databases"),
        ("DO LANGUAGE plpython3u $$ import os $$", "language"),
        (
            "CREATE FUNCTION f() RETURNS int LANGUAGE c AS 'x', 'y'",
            "language",
        ),
    ] {
        assert_eq!(rule(sql).await, expected, "{sql}");
    }
}

#[tokio::test]
async fn bodies_are_inspected() {
    for (body, expected) in [
        ("RESET ROLE;", "execution-role"),
        ("IF true THEN reset /* */ role; END IF;", "execution-role"),
        ("EXECUTE 'RESET' || ' ROLE';", "execution-role"),
        ("EXECUTE 'SET ROLE ' || quote_ident(x);", "execution-role"),
        (
            "EXECUTE format('ALTER ROLE %I SUPERUSER', current_user);",
            "role-management",
        ),
        (
            "EXECUTE $x$ DO $y$ BEGIN SET SESSION AUTHORIZATION postgres; END $y$ $x$;",
            "execution-role",
        ),
        (
            "PERFORM pg_catalog.set_config('role', 'postgres', false);",
            "set-config",
        ),
        ("CREATE ROLE x;", "role-management"),
        (
            "FOR r IN EXECUTE 'COPY t TO PROGRAM ''id''' LOOP END LOOP;",
            "server-files",
        ),
    ] {
        let sql = format!("DO $do$ DECLARE r record; BEGIN {body} END $do$");
        assert_eq!(rule(&sql).await, expected, "{body}");
        let sql = format!(
            "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN {body} RETURN NEW; END $f$"
        );
        assert_eq!(rule(&sql).await, expected, "{body}");
    }
    let sql = "CREATE FUNCTION f() RETURNS void LANGUAGE sql AS 'RESET ROLE'";
    assert_eq!(rule(sql).await, "execution-role");
    let sql = "CREATE FUNCTION f() RETURNS void LANGUAGE sql SET role = 'postgres' AS 'SELECT 1'";
    assert_eq!(rule(sql).await, "execution-role");
}

#[tokio::test]
async fn what_is_no_sql_is_refused_with_the_parsers_words() {
    let Err(Refusal::Unparsable(message)) = check("SELEC 1").await else {
        panic!("not refused")
    };
    assert_eq!(message, "syntax error at or near \"SELEC\"");
    assert!(matches!(check("  \n ").await, Err(Refusal::Empty)));
    assert!(matches!(
        check("SELECT '\0'").await,
        Err(Refusal::Unparsable(_))
    ));
    assert!(matches!(
        check("SELECT 'open").await,
        Err(Refusal::Unparsable(_))
    ));
}

#[tokio::test]
async fn deep_and_long_statements_are_parsed() {
    let sum = vec!["1"; 500].join("+");
    check(&format!("SELECT {sum}")).await.unwrap();
    let nested = format!("SELECT {}1{}", "(".repeat(100), ")".repeat(100));
    check(&nested).await.unwrap();
    let absurd = format!("SELECT {}1{}", "(".repeat(200_000), ")".repeat(200_000));
    assert!(matches!(check(&absurd).await, Err(Refusal::Unparsable(_))));
}

async fn changes(sql: &str) -> Vec<(String, Option<String>)> {
    let script = Guard::new(1).analyze(sql.to_owned()).await.unwrap();
    let changes = script.changes().into_iter();
    changes
        .map(|c| (c.kind.as_str().to_owned(), c.name))
        .collect()
}

#[tokio::test]
async fn changes_are_named_with_their_schema() {
    let sql = "INSERT INTO a VALUES (1); UPDATE s.b SET x = 1; DELETE FROM a; CREATE TABLE c();
        ALTER TABLE c ADD x int; DROP TABLE c; CREATE INDEX ON a (x); DROP POLICY p ON a; SELECT 1;
        CREATE VIEW v AS SELECT 1";
    let named = |kind: &str, name: &str| (kind.to_owned(), Some(name.to_owned()));
    let plain = |kind: &str| (kind.to_owned(), None);
    assert_eq!(
        changes(sql).await,
        [
            named("records", "public.a"),
            named("records", "s.b"),
            plain("tables"),
            named("table", "public.c"),
            plain("index"),
            plain("policy"),
        ]
    );
    assert!(
        changes("SELECT 1; TRUNCATE a; GRANT SELECT ON a TO anon")
            .await
            .is_empty()
    );
}

#[tokio::test]
async fn scripts_are_split_by_the_parser() {
    let sql = "-- first\nSELECT 1; /* a /* nested */ */ INSERT INTO t VALUES (';--');;
        CREATE FUNCTION f() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT 1; SELECT 2; END;
        SELECT E'\\';' -- tail";
    let script = check(sql).await.unwrap();
    let texts: Vec<_> = script.statements.iter().map(|s| s.text.as_str()).collect();
    assert_eq!(texts[0], "SELECT 1");
    assert_eq!(texts[1], "INSERT INTO t VALUES (';--')");
    assert!(texts[2].starts_with("CREATE FUNCTION") && texts[2].ends_with("END"));
    assert!(texts[3].starts_with("SELECT E'\\';'"));
    assert_eq!(texts.len(), 4);
    assert!(script.statements[0].is_query && !script.is_only_queries());
    assert!(script.statements[1].is_insert && script.changes_schema());
    assert!(
        !check("SELECT created_at FROM t")
            .await
            .unwrap()
            .changes_schema()
    );
}
