//! Reference, chapter "Schema Cache": what is new is found, by itself or by notification.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::reload::reload;
use crate::world::World;

#[tokio::test]
async fn new_objects_are_found_at_once() {
    let world = World::new().await;
    assert_eq!(world.get("/fresh").await.status, 404);
    world
        .project
        .execute("create table fresh (id integer); grant all on fresh to anon")
        .await
        .unwrap();
    assert_eq!(world.rows("/fresh").await, json!([]));
    assert_eq!(world.get("/fresh?select=extra").await.status, 400);
    world
        .project
        .execute("alter table fresh add extra text")
        .await
        .unwrap();
    let body = r#"{"id":1,"extra":"x"}"#;
    assert_eq!(world.send("POST /fresh", &[], body).await.status, 201);
    assert_eq!(
        world.rows("/fresh?select=extra").await,
        json!([{"extra":"x"}])
    );
    assert_eq!(world.get("/rpc/newborn").await.status, 404);
    let create = "create function newborn() returns integer language sql immutable as 'select 1'";
    world.project.execute(create).await.unwrap();
    assert_eq!(world.rows("/rpc/newborn").await, json!(1));
}

#[tokio::test]
async fn prepared_statements_survive_changes() {
    let world = World::new().await;
    world
        .project
        .execute(
            "create table shifty (a integer); grant all on shifty to anon; \
        insert into shifty values (1)",
        )
        .await
        .unwrap();
    for _ in 0..4 {
        assert_eq!(world.rows("/shifty?a=eq.1").await, json!([{"a":1}]));
    }
    world
        .project
        .execute("alter table shifty add b integer default 2")
        .await
        .unwrap();
    assert_eq!(world.rows("/shifty?a=eq.1").await, json!([{"a":1,"b":2}]));
    world
        .project
        .execute("alter table shifty alter a type text")
        .await
        .unwrap();
    reload(&world).await;
    assert_eq!(world.rows("/shifty?a=eq.1").await, json!([{"a":"1","b":2}]));
}

#[tokio::test]
async fn a_notification_reloads() {
    let world = Arc::new(World::new().await);
    let shutdown = CancellationToken::new();
    let running = tokio::spawn({
        let (world, shutdown) = (world.clone(), shutdown.clone());
        async move { world.engine.run(shutdown).await }
    });
    until(|| world.engine.schema().is_some()).await;
    world
        .project
        .execute("create table told (id integer); notify pgrst, 'reload schema'")
        .await
        .unwrap();
    until(|| {
        world
            .engine
            .schema()
            .is_some_and(|s| s.relation("public", "told").is_some())
    })
    .await;
    shutdown.cancel();
    tokio::time::timeout(Duration::from_secs(5), running)
        .await
        .unwrap()
        .unwrap();
}

async fn until(mut condition: impl FnMut() -> bool) {
    for _ in 0..200 {
        if condition() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("did not happen in five seconds");
}

#[tokio::test]
async fn the_cache_tells_column_types() {
    let world = World::new().await;
    let schema = world.engine.loaded_schema().await.unwrap();
    let items = schema.relation("public", "items").unwrap();
    assert_eq!(&*items.column("name").unwrap().base_type, "text");
    assert_eq!(&*items.column("amount").unwrap().base_type, "integer");
    assert!(items.column("nope").is_none());
}
