//! Nothing of a session that ran an administrator's SQL survives it.
//!
//! Each login role has one connection here, so what a request left would meet the next.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{Answer, Api, send};

/// What a statement may leave in its session, run as one request.
const LEAVING: &[&str] = &[
    "SET work_mem = '1GB'",
    "SET my.setting = 'left'",
    "SET row_security = off; SET default_transaction_read_only = on",
    "SET request.jwt.claims = '{\"role\":\"left\"}'",
    "SET TIME ZONE 'Asia/Tokyo'; SET datestyle = 'German'",
    "DO $$ BEGIN EXECUTE reverse('hcraes TES') || '_path = left_behind'; END $$",
    "DO $$ BEGIN EXECUTE reverse('enon ELOR TES'); END $$",
    "CREATE TEMP TABLE users (id int); CREATE TEMP TABLE left_behind (id int)",
    "PREPARE ingot_statement AS SELECT 'left'",
    "PREPARE sqlx_s_1 AS SELECT 'left'",
    "CREATE TABLE IF NOT EXISTS held (a int); DECLARE c CURSOR WITH HOLD FOR SELECT a FROM held",
    "LISTEN pgrst; LISTEN left_behind",
    "SELECT pg_advisory_lock(1), pg_advisory_lock_shared(2, 3)",
    "LOCK TABLE auth.users IN ACCESS EXCLUSIVE MODE",
    "DO $$ BEGIN EXECUTE 'SELECT ' || reverse('gifnoc_tes') || '(''statement_timeout'', ''1'', false)'; END $$",
    "SELECT 1 / 0",
];

const SEEN: &str = "SELECT current_user, session_user, current_setting('search_path') AS path,
    current_setting('work_mem') AS memory, current_setting('my.setting', true) AS mine,
    current_setting('row_security') AS security, current_setting('TimeZone') AS zone,
    current_setting('DateStyle') AS dates, current_setting('statement_timeout') AS time,
    current_setting('default_transaction_read_only') AS read_only,
    current_setting('request.jwt.claims') AS claims,
    (SELECT count(*) FROM pg_prepared_statements WHERE statement ILIKE '%left%') AS prepared,
    (SELECT count(*) FROM pg_cursors WHERE is_holdable) AS cursors,
    (SELECT count(*) FROM pg_listening_channels()) AS channels,
    (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())) AS locks,
    (SELECT count(*) FROM pg_locks WHERE relation = 'auth.users'::regclass AND mode <> 'AccessShareLock'
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())) AS tables,
    (SELECT count(*) FROM pg_class WHERE relnamespace = pg_my_temp_schema()) AS temporary";

async fn sql(api: &Api, query: &str) -> Answer {
    let request = api.admin("POST", "/api/database/advance/rawsql");
    send(request.json(&json!({ "query": query }))).await
}

async fn process(api: &Api) -> Value {
    sql(api, "SELECT pg_backend_pid() AS process").await.body["rows"][0]["process"].clone()
}

#[tokio::test]
async fn nothing_survives_a_session() {
    let api = Api::start_with(&[("INGOT_POOL_MAX_CONNECTIONS", "1")]).await;
    let clean = sql(&api, SEEN).await.body;
    assert_eq!(clean["rows"][0]["current_user"], "project_admin");
    for statement in LEAVING {
        let before = process(&api).await;
        let answer = sql(&api, statement).await;
        assert!([200, 400].contains(&answer.status), "{answer:?}");
        assert_eq!(sql(&api, SEEN).await.body, clean, "{statement}");
        assert_ne!(process(&api).await, before, "{statement}");
        // The platform's own statements of an administrator share the pool.
        let tables = send(api.admin("GET", "/api/database/tables")).await;
        assert_eq!(tables.status, 200, "{statement}: {tables:?}");
    }
}

#[tokio::test]
async fn logins_that_changed_themselves_are_put_right() {
    let api = Api::start_with(&[("INGOT_POOL_MAX_CONNECTIONS", "1")]).await;
    let clean = sql(&api, SEEN).await.body;
    for change in [
        "PASSWORD ''left''",
        "SET search_path = left_behind",
        "RESET ALL",
    ] {
        let block = format!(
            "DO $$ BEGIN EXECUTE reverse('enon ELOR TES'); \
             EXECUTE reverse(' ELOR RETLA') || session_user || ' {change}'; END $$"
        );
        assert_eq!(sql(&api, &block).await.status, 200, "{change}");
        assert_eq!(sql(&api, SEEN).await.body, clean, "{change}");
    }
}

// Threads of its own for the service: dropping the project blocks this one, and a connection that
// is left half-way through its login holds up PostgreSQL until its patience ends, after a minute.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_ends_with_its_client() {
    let api = Api::start().await;
    let stubborn = "DO $$ BEGIN EXECUTE 'SET client_connection_check' || '_interval = 0'; \
         PERFORM pg_advisory_lock(1); PERFORM pg_sleep(25); END $$";
    let request = api.admin("POST", "/api/database/advance/rawsql");
    let request = request.json(&json!({ "query": stubborn }));
    let answer = request.timeout(Duration::from_secs(1)).send().await;
    assert!(answer.unwrap_err().is_timeout());
    let mut owner = api.project.superuser().await.unwrap();
    let given_up = Instant::now();
    loop {
        let running: i64 = sqlx::query_scalar(
            "select count(*) from pg_stat_activity
             where datname = current_database() and state = 'active' and query like '%pg_sleep(25)%'
                 and pid <> pg_backend_pid()",
        )
        .fetch_one(&mut owner)
        .await
        .unwrap();
        if running == 0 {
            return;
        }
        assert!(
            given_up.elapsed() < Duration::from_secs(15),
            "it still runs"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
