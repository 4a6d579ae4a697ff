//! Faults: clients that hang up, databases that are away, poolers that keep no statements.

use std::time::Duration;

use ingot_rest::{Engine, EngineSettings, Request, Session, Target, Tls};
use serde_json::json;

use crate::reload::reload;
use crate::world::World;

#[tokio::test]
async fn a_client_that_hangs_up_stops_its_statement() {
    let world = World::new().await;
    reload(&world).await;
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
    // A schema that is read meanwhile makes the engine forget them: at the latest then they stay.
    for _ in 0..10 {
        for _ in 0..4 {
            world.rows("/films?select=id&id=eq.1").await;
        }
        if prepared(&world).await.as_i64() > Some(0) {
            return;
        }
    }
    panic!("nothing is prepared");
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
    let world = World::with(EngineSettings {
        aggregates_enabled: true,
        ..EngineSettings::default()
    })
    .await;
    assert_eq!(world.get("/people?limit=1").await.status, 200);
    for round in 0..3 {
        terminate(&world).await;
        assert_eq!(world.get("/people?limit=1").await.status, 200);
        terminate(&world).await;
        let body = format!(r#"{{"name":"kept {round}"}}"#);
        let added = world.send("POST /items", &[], &body).await;
        assert_eq!(added.status, 201, "{}", added.text());
    }
    assert_eq!(
        world.rows("/items?select=count()").await,
        json!([{"count":3}])
    );
}

/// Ends every other session on the database, whatever it is doing.
async fn terminate(world: &World) {
    let terminate = "select pg_terminate_backend(pid, 5000) from pg_stat_activity \
                     where datname = current_database() and pid <> pg_backend_pid()";
    world.project.execute(terminate).await.unwrap();
}

#[tokio::test]
async fn a_write_that_was_cut_off_is_not_repeated() {
    let world = World::new().await;
    let counted = "create table tally (at timestamptz default now()); \
        create function slow() returns void language plpgsql as $$ begin \
        perform pg_sleep(60); insert into tally default values; end $$; \
        create function tally() returns bigint language sql stable as 'select count(*) from tally'; \
        grant all on tally to anon";
    world.project.execute(counted).await.unwrap();
    let cut = async {
        while running(&world, "%slow%").await == 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        terminate(&world).await;
    };
    let (answer, ()) = tokio::join!(world.send("POST /rpc/slow", &[], "{}"), cut);
    assert_eq!(answer.fault(), (503, "PGRST001".to_owned()));
    let reason = "terminating connection due to administrator command";
    assert_eq!(answer.json()["details"], reason);
    assert_eq!(running(&world, "%slow%").await, 0);
    assert_eq!(world.rows("/rpc/tally").await, json!(0));
}

#[tokio::test]
async fn statements_that_the_server_lost_are_prepared_again() {
    let world = World::with(EngineSettings {
        pool_size: 1,
        ..EngineSettings::default()
    })
    .await;
    let forget = "create function forget() returns void language plpgsql as \
                  $$ begin execute 'deallocate all'; end $$";
    world.project.execute(forget).await.unwrap();
    for _ in 0..3 {
        for _ in 0..3 {
            world.rows("/films?select=id&id=eq.1").await;
        }
        let forgotten = world.send("POST /rpc/forget", &[], "{}").await;
        assert_eq!(forgotten.status, 204, "{}", forgotten.text());
    }
}

#[tokio::test]
async fn few_statements_are_kept() {
    let world = World::with(EngineSettings {
        pool_size: 1,
        statement_cache_size: 3,
        ..EngineSettings::default()
    })
    .await;
    prepared(&world).await;
    for column in ["id", "title", "year", "id,title", "id,year", "title,year"] {
        for _ in 0..3 {
            world.rows(&format!("/films?select={column}&id=eq.1")).await;
        }
    }
    let kept = prepared(&world).await.as_i64().unwrap();
    assert!((1..=3).contains(&kept), "{kept}");
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
