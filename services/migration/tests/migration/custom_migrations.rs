//! `/api/database/migrations`.

use futures::future::join_all;
use ingot_migration::serve;
use ingot_testkit::{TestProject, TestService};
use reqwest::Method;
use serde_json::{Value, json};

const PATH: &str = "/api/database/migrations";
const KEY: &str = "ik_0123456789abcdef";

async fn start(project: &TestProject) -> TestService {
    TestService::start(project, &[("ACCESS_API_KEY", KEY)], serve)
        .await
        .unwrap()
}

async fn post(service: &TestService, version: &str, sql: &str) -> (u16, Value) {
    let answer = service
        .request(Method::POST, PATH)
        .header("x-api-key", KEY)
        .json(&json!({ "version": version, "name": "a-change", "sql": sql }))
        .send()
        .await
        .unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

async fn applied_versions(service: &TestService) -> Vec<String> {
    let answer: Value = service
        .request(Method::GET, PATH)
        .header("x-api-key", KEY)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let migrations = answer.get("migrations").and_then(Value::as_array).unwrap();
    migrations
        .iter()
        .map(|migration| migration["version"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn a_migration_is_applied_recorded_and_owned_by_the_administrator() {
    let project = TestProject::create().await.unwrap();
    let service = start(&project).await;
    let sql = "-- orders\ncreate table orders (id int); insert into orders values (1);";
    let (status, answer) = post(&service, "0009", sql).await;
    assert_eq!(status, 201, "{answer}");
    assert_eq!(answer["version"], "0009");
    assert_eq!(
        answer["statements"],
        json!([
            "create table orders (id int)",
            "insert into orders values (1)"
        ])
    );
    assert!(answer["createdAt"].as_str().unwrap().ends_with('Z'));
    assert_eq!(post(&service, "10", "create schema shop").await.0, 201);
    assert_eq!(applied_versions(&service).await, ["10", "0009"]);

    let mut owner = project.superuser().await.unwrap();
    let facts: (String, i64, i64) = sqlx::query_as(
        "select (select tableowner::text from pg_tables where tablename = 'orders'),
            (select count(*) from public.orders),
            (select count(*) from system.audit_logs
             where action = 'CREATE_CUSTOM_MIGRATION' and actor = 'api-key')",
    )
    .fetch_one(&mut owner)
    .await
    .unwrap();
    assert_eq!(facts, ("project_admin".to_owned(), 1, 2));
    service.stop().await.unwrap();
}

#[tokio::test]
async fn a_refused_or_failed_migration_leaves_nothing() {
    let project = TestProject::create().await.unwrap();
    let service = start(&project).await;
    assert_eq!(post(&service, "2", "select 1").await.0, 201);

    for (version, sql, status, code) in [
        ("2", "select 1", 409, "DATABASE_MIGRATION_ALREADY_EXISTS"),
        ("0001", "select 1", 409, "DATABASE_MIGRATION_ALREADY_EXISTS"),
        ("x", "select 1", 400, "INVALID_INPUT"),
        ("3", "  ", 400, "INVALID_INPUT"),
        ("3", "-- nothing", 400, "INVALID_INPUT"),
        ("3", "create table a (id int); commit", 403, "FORBIDDEN"),
        ("3", "set role postgres", 403, "FORBIDDEN"),
        ("3", "this is not sql", 403, "FORBIDDEN"),
        (
            "3",
            "create table a (id int); select 1 / 0",
            400,
            "INVALID_INPUT",
        ),
        (
            "3",
            "create table a (id int); delete from system.secrets",
            403,
            "FORBIDDEN",
        ),
        (
            "3",
            "create table a (id int); drop table missing",
            400,
            "DATABASE_VALIDATION_ERROR",
        ),
    ] {
        let (found, answer) = post(&service, version, sql).await;
        assert_eq!(found, status, "{sql}: {answer}");
        assert_eq!(answer["error"], code, "{sql}: {answer}");
    }
    assert_eq!(applied_versions(&service).await, ["2"]);
    assert_eq!(post(&service, "3", "create table a (id int)").await.0, 201);
    service.stop().await.unwrap();
}

#[tokio::test]
async fn of_equal_versions_at_once_one_is_applied() {
    let project = TestProject::create().await.unwrap();
    let service = start(&project).await;
    let answers = join_all((0..4).map(|_| post(&service, "1", "create table a (id int)"))).await;
    let mut statuses: Vec<u16> = answers.into_iter().map(|(status, _)| status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409, 409, 409]);
    service.stop().await.unwrap();
}

#[tokio::test]
async fn only_administrators_migrate() {
    let project = TestProject::create().await.unwrap();
    let service = start(&project).await;
    for (credential, status) in [(None, 401), (Some("Bearer ik_wrong"), 401)] {
        let mut request = service.request(Method::GET, PATH);
        if let Some(credential) = credential {
            request = request.header("authorization", credential);
        }
        assert_eq!(request.send().await.unwrap().status(), status);
    }
    service.stop().await.unwrap();
}

#[tokio::test]
async fn a_request_that_is_no_migration_is_refused_in_the_envelope() {
    let project = TestProject::create().await.unwrap();
    let settings = [("ACCESS_API_KEY", KEY), ("MAX_JSON_BODY_SIZE", "1kb")];
    let service = TestService::start(&project, &settings, serve)
        .await
        .unwrap();
    let long = json!({ "version": "1", "name": "long", "sql": " ".repeat(2000) }).to_string();
    for (body, status) in [
        ("{", 400),
        ("[]", 400),
        (r#"{"version":"1"}"#, 400),
        (r#"{"version":1,"name":"x","sql":"select 1"}"#, 400),
        ("{}x", 400),
        (long.as_str(), 413),
    ] {
        let request = service
            .request(Method::POST, PATH)
            .header("x-api-key", KEY)
            .header("content-type", "application/json")
            .body(body.to_owned());
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), status, "{body}");
        let envelope: Value = answer.json().await.unwrap();
        assert_eq!(envelope["statusCode"], status, "{envelope}");
        assert_eq!(envelope["error"], "INVALID_INPUT", "{envelope}");
    }
    assert!(applied_versions(&service).await.is_empty());
    service.stop().await.unwrap();
}

async fn rehearse(service: &TestService, sql: &str) -> Value {
    let answer = service
        .request(Method::POST, &format!("{PATH}/dry-run"))
        .header("x-api-key", KEY)
        .json(&json!({ "sql": sql }))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200, "{sql}");
    answer.json().await.unwrap()
}

#[tokio::test]
async fn a_dry_run_tells_the_risks_and_leaves_nothing() {
    let project = TestProject::create().await.unwrap();
    let service = start(&project).await;
    let scene = "create table t (id int primary key, a text); insert into t values (1, 'x')";
    assert_eq!(post(&service, "1", scene).await.0, 201);
    for (sql, valid, level, codes) in [
        (
            "create table n (id int); insert into n values (1)",
            true,
            "SAFE",
            &[][..],
        ),
        ("drop table t", true, "DANGER", &["DESTRUCTIVE_DATA_LOSS"]),
        ("truncate t", true, "DANGER", &["DESTRUCTIVE_DATA_LOSS"]),
        (
            "create schema s; drop schema s",
            true,
            "DANGER",
            &["DESTRUCTIVE_DATA_LOSS"],
        ),
        (
            "alter table t drop column a, alter column id type bigint, add column b int",
            true,
            "WARNING",
            &["SCHEMA_BREAKING_CHANGE", "SCHEMA_BREAKING_CHANGE"],
        ),
        (
            "alter table t drop constraint t_pkey",
            true,
            "WARNING",
            &["SCHEMA_BREAKING_CHANGE"],
        ),
        ("set role postgres", false, "DANGER", &["GUARD_VIOLATION"]),
        ("this is not sql", false, "DANGER", &["GUARD_VIOLATION"]),
        (" ", false, "DANGER", &["EMPTY_SQL"]),
        ("-- nothing", false, "DANGER", &["EMPTY_SQL"]),
        (
            "select 1/0",
            false,
            "DANGER",
            &["SYNTAX_OR_EXECUTION_ERROR"],
        ),
        (
            "delete from system.secrets",
            false,
            "DANGER",
            &["SYNTAX_OR_EXECUTION_ERROR"],
        ),
        (
            "drop table t; drop table missing",
            false,
            "DANGER",
            &[
                "DESTRUCTIVE_DATA_LOSS",
                "DESTRUCTIVE_DATA_LOSS",
                "SYNTAX_OR_EXECUTION_ERROR",
            ],
        ),
    ] {
        let answer = rehearse(&service, sql).await;
        let factors = answer["riskFactors"].as_array().unwrap();
        let found: Vec<_> = factors
            .iter()
            .map(|f| f["code"].as_str().unwrap())
            .collect();
        assert_eq!(found, codes, "{sql}: {answer}");
        assert_eq!(answer["valid"], json!(valid), "{sql}: {answer}");
        assert_eq!(answer["riskLevel"], level, "{sql}: {answer}");
        let failed = found.contains(&"SYNTAX_OR_EXECUTION_ERROR");
        assert_eq!(answer["error"].is_string(), failed, "{sql}: {answer}");
    }
    let answer = rehearse(&service, "select 1; truncate t").await;
    assert_eq!(answer["statementCount"], 2);
    assert_eq!(answer["statements"], json!(["select 1", "truncate t"]));
    assert_eq!(answer["riskFactors"][0]["statement"], "truncate t");
    assert_eq!(applied_versions(&service).await, ["1"]);
    let mut owner = project.superuser().await.unwrap();
    let left: (i64, bool) = sqlx::query_as(
        "select (select count(*) from public.t where a = 'x'), to_regclass('public.n') is null",
    )
    .fetch_one(&mut owner)
    .await
    .unwrap();
    assert_eq!(left, (1, true));
    service.stop().await.unwrap();
}

#[tokio::test]
async fn dry_runs_are_limited() {
    let project = TestProject::create().await.unwrap();
    let service = start(&project).await;
    let send = async |key: &str, body: Value| {
        let request = service.request(Method::POST, &format!("{PATH}/dry-run"));
        let answer = request
            .header("x-api-key", key)
            .json(&body)
            .send()
            .await
            .unwrap();
        let left = answer.headers().get("ratelimit-remaining");
        let left = left.map(|value| value.to_str().unwrap().to_owned());
        (answer.status().as_u16(), left)
    };
    // Who is not let in does not count.
    assert_eq!(
        send("ik_wrong", json!({ "sql": "select 1" })).await,
        (401, None)
    );
    assert_eq!(send(KEY, json!({})).await.0, 400);
    for used in 2..=30 {
        let (status, left) = send(KEY, json!({ "sql": " " })).await;
        assert_eq!((status, left), (200, Some((30 - used).to_string())));
    }
    assert_eq!(
        send(KEY, json!({ "sql": " " })).await,
        (429, Some("0".to_owned()))
    );
    service.stop().await.unwrap();
}

/// The document names each route, and nobody who fills in its bodies badly gets a 500.
#[tokio::test]
async fn what_the_document_describes_is_there_and_refuses_what_is_malformed() {
    let project = TestProject::create().await.unwrap();
    let service = start(&project).await;
    let document = service
        .request(Method::GET, &format!("{PATH}/openapi.json"))
        .send()
        .await
        .unwrap();
    assert_eq!(document.status(), 200);
    let document: Value = document.json().await.unwrap();
    let paths = document["paths"].as_object().unwrap();
    let routes: Vec<_> = paths
        .iter()
        .flat_map(|(path, methods)| {
            methods
                .as_object()
                .unwrap()
                .keys()
                .map(move |it| (it, path))
        })
        .map(|(method, path)| format!("{method} {path}"))
        .collect();
    let dry_run = format!("post {PATH}/dry-run");
    assert_eq!(
        routes,
        [format!("get {PATH}"), format!("post {PATH}"), dry_run]
    );
    let body = json!({ "version": "1", "name": "a", "sql": "select 1" });
    for path in [PATH.to_owned(), format!("{PATH}/dry-run")] {
        for field in ["version", "name", "sql"] {
            for bad in [
                json!(null),
                json!(1e300),
                json!("\u{0}"),
                json!([{}]),
                json!("'; x"),
            ] {
                let mut spoilt = body.clone();
                spoilt[field] = bad;
                let request = service.request(Method::POST, &path);
                let answer = request.header("x-api-key", KEY).json(&spoilt).send().await;
                let answer = answer.unwrap();
                assert!(
                    answer.status().as_u16() < 500,
                    "{path} {spoilt}: {answer:?}"
                );
            }
        }
    }
}
