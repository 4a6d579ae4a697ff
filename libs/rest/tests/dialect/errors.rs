//! Reference, chapter "Errors", and what happens when things take too long.

use std::time::Duration;

use ingot_rest::EngineSettings;
use serde_json::json;

use crate::reload::reload;
use crate::world::World;

#[tokio::test]
async fn bad_queries_are_explained() {
    let world = World::new().await;
    let cases = [
        ("/films?id=nope.1", "PGRST100"),
        ("/films?id=1", "PGRST100"),
        ("/films?id=is.7", "PGRST100"),
        ("/films?id=in.1,2", "PGRST100"),
        ("/films?or=(id.eq.1", "PGRST100"),
        ("/films?or=id.eq.1", "PGRST100"),
        ("/films?select=id,(", "PGRST100"),
        ("/films?select=id)", "PGRST100"),
        ("/films?order=id.sideways", "PGRST100"),
        ("/films?id=eq.%00", "PGRST100"),
        ("/films?id=eq.%ff", "PGRST100"),
        ("/films?people.id=eq.1", "PGRST108"),
        ("/films?id=eq.abc", "22P02"),
        ("/films?select=nope", "42703"),
        ("/films?nope=eq.1", "42703"),
        ("/films?order=nope", "42703"),
        ("/films?select=id::nope", "42704"),
        ("/films?select=id.sum()", "PGRST123"),
    ];
    for (url, code) in cases {
        let answer = world.get(url).await;
        assert_eq!(
            answer.fault(),
            (400, code.to_owned()),
            "{url}: {}",
            answer.text()
        );
    }
    let answer = world.get("/films?select=id::Nope").await;
    assert_eq!(answer.json()["message"], "type \"nope\" does not exist");
    let answer = world.get("/films?or=(id.eq.1").await;
    assert_eq!(
        answer.json()["message"],
        "\"failed to parse logic tree ((id.eq.1)\" (line 1, column 11)"
    );
    let answer = world.get("/films?titel=eq.1").await;
    assert_eq!(
        answer.json(),
        json!({
            "code": "42703",
            "details": null,
            "hint": "Perhaps you meant to reference the column \"films.title\".",
            "message": "column films.titel does not exist",
        })
    );
}

#[tokio::test]
async fn text_after_a_complete_condition_is_ignored() {
    let world = World::new().await;
    for query in ["id=in.(1)x", "seen=is.trueish&id=eq.1"] {
        let rows = world.rows(&format!("/films?select=id&{query}")).await;
        assert_eq!(rows, json!([{"id":1}]), "{query}");
    }
}

#[tokio::test]
async fn deep_nesting_is_refused() {
    let world = World::new().await;
    for depth in [40, 5000] {
        let tree = format!("{}id.eq.1{}", "and(".repeat(depth), ")".repeat(depth));
        let answer = world.get(&format!("/films?or=({tree})")).await;
        assert_eq!(answer.fault(), (400, "PGRST100".to_owned()), "{depth}");
        let select = format!("{}id{}", "films(".repeat(depth), ")".repeat(depth));
        let answer = world.get(&format!("/films?select={select}")).await;
        assert_eq!(answer.fault(), (400, "PGRST100".to_owned()), "{depth}");
    }
    for (steps, status) in [(256, 200), (257, 400)] {
        let path = "->a".repeat(steps);
        for url in [
            format!("/films?select=data{path}"),
            format!("/films?data{path}=is.null"),
            format!("/films?or=(data{path}.is.null)"),
            format!("/films?order=data{path}"),
        ] {
            let answer = world.get(&url).await;
            assert_eq!(answer.status, status, "{}", answer.text());
        }
    }
}

#[tokio::test]
async fn too_many_values_are_refused() {
    // HTTP has no room for so many.
    let world = World::in_process().await;
    let filters = "id=neq.0&".repeat(40_000);
    let answer = world.get(&format!("/films?{filters}")).await;
    assert_eq!(answer.fault(), (400, "PGRST100".to_owned()));
    let long = "x".repeat(2 << 20);
    let answer = world.get(&format!("/films?title=eq.{long}")).await;
    assert_eq!(answer.fault(), (400, "PGRST100".to_owned()));
}

#[tokio::test]
async fn unknown_resources_are_not_found() {
    let world = World::new().await;
    for line in ["GET /nowhere", "DELETE /nowhere", "HEAD /nowhere"] {
        let answer = world.send(line, &[], "").await;
        assert_eq!(answer.status, 404, "{line}");
    }
    let answer = world.get("/nowhere").await;
    assert_eq!(
        answer.json(),
        json!({
            "code": "42P01",
            "details": null,
            "hint": null,
            "message": "relation \"public.nowhere\" does not exist",
        })
    );
    let answer = world.send("TRACE /films", &[], "").await;
    assert_eq!(answer.fault(), (405, "PGRST117".to_owned()));
}

#[tokio::test]
async fn raised_errors_choose_their_answer() {
    let world = World::new().await;
    let answer = world.send("POST /rpc/raise_status", &[], "{}").await;
    assert_eq!(answer.status, 402);
    assert_eq!(answer.json()["hint"], "Upgrade your plan");
    let answer = world.send("POST /rpc/raise_full", &[], "{}").await;
    assert_eq!(
        (answer.status, answer.header("x-powered-by")),
        (402, "Nerd Rage")
    );
    assert_eq!(
        answer.json(),
        json!({"code":"123","message":"Payment Required","details":"Quota exceeded","hint":"Upgrade"})
    );
    let answer = world.send("POST /rpc/raise_broken", &[], "{}").await;
    assert_eq!(answer.fault(), (500, "PGRST121".to_owned()));
    let answer = world.send("POST /rpc/raise_plain", &[], "{}").await;
    assert_eq!(answer.fault(), (400, "P0001".to_owned()));
}

#[tokio::test]
async fn a_full_pool_answers_in_time() {
    let settings = EngineSettings {
        pool_size: 1,
        pool_timeout: Duration::from_secs(1),
        ..EngineSettings::default()
    };
    let world = World::with(settings).await;
    assert_eq!(world.get("/people?limit=1").await.status, 200);
    let (slow, waiting) = tokio::join!(
        world.send("POST /rpc/sleepy", &[], r#"{"seconds":3}"#),
        world.get("/people"),
    );
    assert_eq!(slow.status, 204);
    assert_eq!(waiting.fault(), (504, "PGRST003".to_owned()));
}

#[tokio::test]
async fn a_statement_that_takes_too_long_is_cancelled() {
    let settings = EngineSettings {
        pool_size: 1,
        request_timeout: Duration::from_secs(2),
        ..EngineSettings::default()
    };
    let world = World::with(settings).await;
    reload(&world).await;
    let answer = world
        .send("POST /rpc/sleepy", &[], r#"{"seconds":30}"#)
        .await;
    assert_eq!(answer.fault(), (504, "PGRST003".to_owned()));
    let answer = world.get("/people?limit=1").await;
    assert_eq!(answer.status, 200, "the pool has its place back");
    let mut sleeping = 1;
    for _ in 0..50 {
        let mut admin = world.project.superuser().await.unwrap();
        let query = "select count(*) from pg_stat_activity where query like '%sleepy%' \
                     and state = 'active' and pid <> pg_backend_pid()";
        sleeping = count(&mut admin, query).await;
        if sleeping == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(sleeping, 0, "the statement still runs");

    let settings = EngineSettings {
        statement_timeout: Some(Duration::from_millis(100)),
        ..EngineSettings::default()
    };
    let world = World::with(settings).await;
    let answer = world
        .send("POST /rpc/sleepy", &[], r#"{"seconds":30}"#)
        .await;
    assert_eq!(answer.fault(), (500, "57014".to_owned()));
}

async fn count(admin: &mut sqlx::PgConnection, query: &'static str) -> i64 {
    sqlx::query_scalar(query).fetch_one(admin).await.unwrap()
}
