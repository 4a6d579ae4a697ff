//! Answers that are large for the memory that there is for them.

use std::time::Duration;

use ingot_rest::{AnswerMemory, EngineSettings};

use crate::world::World;

/// An engine with 1 MiB for large answers, and a function that answers with as many KiB as asked.
async fn with_little_memory() -> World {
    let mut world = World::with(EngineSettings {
        // Which no variable says: this is about the library.
        pool_timeout: Duration::from_millis(1500),
        pool_queue: 100,
        ..EngineSettings::default()
    })
    .await;
    let filler = "create function filler(kib int) returns text language sql immutable as \
                  'select repeat(''x'', kib * 1024)'";
    world.project.execute(filler).await.unwrap();
    let memory = AnswerMemory::new(1 << 20);
    let engine = world.engine.sharing(&memory).unwrap();
    world.engine = engine;
    world
}

#[tokio::test]
async fn what_never_fits_is_refused_with_a_reason() {
    let world = with_little_memory().await;
    let answer = world.get("/rpc/filler?kib=1100").await;
    assert_eq!(answer.fault(), (413, "PGRSTX01".to_owned()));
    assert!(answer.text().contains("1126402 bytes"), "{}", answer.text());
    assert_eq!(
        world.get("/rpc/filler?kib=900").await.body.len(),
        900 * 1024 + 2
    );
}

#[tokio::test]
async fn what_others_hold_is_waited_for_and_small_answers_pass() {
    let world = with_little_memory().await;
    let held = world.get("/rpc/filler?kib=700").await;
    assert_eq!(held.status, 200, "{}", held.text());
    let refused = world.get("/rpc/filler?kib=701").await;
    assert_eq!(refused.fault(), (503, "PGRSTX02".to_owned()));
    assert_eq!(world.get("/rpc/filler?kib=63").await.status, 200);
    // A part of it is all of it.
    let part = held.body.slice(5..10);
    drop(held);
    let (waited, ()) = tokio::join!(world.get("/rpc/filler?kib=702"), async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        drop(part);
    });
    assert_eq!(waited.status, 200, "{}", waited.text());
}

#[tokio::test]
async fn many_large_answers_take_turns() {
    let world = with_little_memory().await;
    let asks = (400..440).map(|kib| {
        let world = &world;
        async move { world.get(&format!("/rpc/filler?kib={kib}")).await.status }
    });
    let answered = futures::future::join_all(asks).await;
    assert!(answered.iter().all(|status| *status == 200), "{answered:?}");
}

#[tokio::test]
async fn the_catalogue_waits_for_nobody() {
    let world = with_little_memory().await;
    let columns: Vec<String> = (0..1000).map(|n| format!("{n} as c{n}")).collect();
    for number in 0..8 {
        let view = format!("create view wide{number} as select {}", columns.join(", "));
        world.project.execute(&view).await.unwrap();
    }
    let held = world.get("/rpc/filler?kib=900").await;
    assert_eq!(held.status, 200);
    world.engine.reload_schema().await.unwrap();
    drop(held);
}
