//! Faults: clients that hang up, databases that are away, poolers that keep no statements.

use std::time::Duration;

use ingot_rest::{Engine, EngineSettings, Request, Session, Target, Tls};
use serde_json::json;

use crate::world::World;

#[tokio::test]
async fn a_client_that_hangs_up_stops_its_statement() {
    let world = World::new().await;
    world.engine.reload_schema().await.unwrap();
    let call = world.send("POST /rpc/sleepy", &[], r#"{"seconds":60}"#);
    let hung_up = tokio::time::timeout(Duration::from_secs(1), call).await;
    assert!(hung_up.is_err(), "it sleeps for a minute");
    for _ in 0..100 {
        if running(&world, "%sleepy%").await == 0 {
            assert_eq!(world.get("/people?limit=1").await.status, 200);
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the statement still runs");
}

async fn running(world: &World, pattern: &str) -> i64 {
    let mut admin = world.project.superuser().await.unwrap();
    sqlx::query_scalar(
        "select count(*) from pg_stat_activity where query like $1 and state = 'active' \
         and datname = current_database() and pid <> pg_backend_pid()",
    )
    .bind(pattern)
    .fetch_one(&mut admin)
    .await
    .unwrap()
}

#[tokio::test]
async fn without_prepared_statements_all_is_the_same() {
    let settings = EngineSettings {
        statement_cache_size: 0,
        ..EngineSettings::default()
    };
    let world = World::with(settings).await;
    for _ in 0..4 {
        let rows = world.rows("/films?select=id&id=eq.1").await;
        assert_eq!(rows, json!([{"id":1}]));
        let added = world.send("POST /items", &[], "{}").await;
        assert!([201, 409].contains(&added.status), "{}", added.text());
    }
    assert_eq!(prepared(&world).await, json!(0));

    let world = World::with(EngineSettings {
        pool_size: 1,
        ..EngineSettings::default()
    })
    .await;
    prepared(&world).await;
    for _ in 0..4 {
        world.rows("/films?select=id&id=eq.1").await;
    }
    assert!(prepared(&world).await.as_i64() > Some(0));
}

/// How many statements the engine's connection has prepared.
async fn prepared(world: &World) -> serde_json::Value {
    let create = "create or replace function prepared() returns bigint language sql volatile as \
                  'select count(*) from pg_prepared_statements'";
    world.project.execute(create).await.unwrap();
    let answer = world.send("POST /rpc/prepared", &[], "{}").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

#[tokio::test]
async fn connections_that_died_are_replaced() {
    let world = World::new().await;
    assert_eq!(world.get("/people?limit=1").await.status, 200);
    world
        .project
        .execute(
            "select pg_terminate_backend(pid) from pg_stat_activity \
             where datname = current_database() and pid <> pg_backend_pid()",
        )
        .await
        .unwrap();
    for _ in 0..3 {
        assert_eq!(world.get("/people?limit=1").await.status, 200);
    }
}

#[tokio::test]
async fn a_database_that_is_away_answers_503() {
    let mut config = tokio_postgres::Config::new();
    // Port 1 is nobody's.
    config
        .host("127.0.0.1")
        .port(1)
        .user("nobody")
        .dbname("nothing");
    let engine = Engine::new(EngineSettings::default(), config, Tls::off()).unwrap();
    let request = Request {
        method: http::Method::GET,
        target: Target::Relation("films".to_owned()),
        query: String::new(),
        headers: http::HeaderMap::new(),
        body: bytes::Bytes::new(),
    };
    let session = Session {
        role: "anon".to_owned(),
        claims: "{}".to_owned(),
        authenticated: false,
        settings: Vec::new(),
    };
    let response = engine.handle(request, &session).await;
    assert_eq!(response.status.as_u16(), 503);
    let body: serde_json::Value = serde_json::from_slice(&response.body).unwrap();
    assert_eq!(body["code"], "PGRST000");
}

#[tokio::test]
async fn stages_are_timed_when_asked_for() {
    let settings = EngineSettings {
        server_timing: true,
        ..EngineSettings::default()
    };
    let world = World::with(settings).await;
    let answer = world.get("/films?limit=1").await;
    let timing = answer.header("server-timing");
    for stage in [
        "parse;dur=",
        "plan;dur=",
        "transaction;dur=",
        "response;dur=",
    ] {
        assert!(timing.contains(stage), "{timing}");
    }
}
