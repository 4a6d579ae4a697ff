//! What a client gets that was away, and what a node fetches that was cut off.

mod scene;

use std::time::Duration;

use ingot_testkit::Passage;
use scene::{Scene, Sockets};
use serde_json::{Value, json};
use uuid::Uuid;

/// The numbers of the next `count` events of a socket.
async fn numbers(sockets: &mut Sockets, socket: &str, count: usize) -> anyhow::Result<Vec<i64>> {
    let mut numbers = Vec::new();
    while numbers.len() < count {
        let event = sockets.hear(socket, "event").await?;
        numbers.extend(event.pointer("/args/0/n").and_then(Value::as_i64));
    }
    Ok(numbers)
}

async fn publish(
    scene: &mut Scene,
    channel: &str,
    numbers: std::ops::Range<i64>,
) -> anyhow::Result<Vec<Uuid>> {
    let mut ids = Vec::new();
    for n in numbers {
        let payload = json!({ "n": n }).to_string();
        ids.push(scene.publish(channel, "e", &payload).await?);
    }
    Ok(ids)
}

#[tokio::test]
async fn who_was_away_gets_what_it_missed_and_then_the_rest() -> anyhow::Result<()> {
    let mut scene = Scene::new().await?;
    let node = scene.node().await?;
    let mut sockets = Sockets::start()?;
    let ids = publish(&mut scene, "orders", 0..5).await?;
    publish(&mut scene, "room:1", 100..103).await?;

    sockets
        .connect(scene.connect("back", &node, &scene.anon_auth()))
        .await?;
    let since = json!({"channel": "orders", "since": ids[1]});
    let answer = sockets
        .ask("back", "realtime:subscribe", since.clone())
        .await?;
    assert_eq!(answer["ok"], true, "{answer}");
    assert_eq!(answer["gap"], false);
    publish(&mut scene, "orders", 5..8).await?;
    assert_eq!(
        numbers(&mut sockets, "back", 6).await?,
        [2, 3, 4, 5, 6, 7],
        "missed messages, then live ones"
    );

    // Who is subscribed has missed nothing, whatever it names.
    let answer = sockets.ask("back", "realtime:subscribe", since).await?;
    assert_eq!(answer["gap"], false);
    publish(&mut scene, "orders", 8..9).await?;
    assert_eq!(numbers(&mut sockets, "back", 1).await?, [8]);
    node.stop().await
}

#[tokio::test]
async fn what_is_not_remembered_is_said() -> anyhow::Result<()> {
    let mut scene = Scene::new().await?;
    let node = scene.node().await?;
    let mut sockets = Sockets::start()?;
    let other = publish(&mut scene, "room:1", 0..1).await?;
    publish(&mut scene, "orders", 0..2).await?;
    for (name, since, gap) in [
        ("never", json!(Uuid::new_v4()), json!(true)),
        ("elsewhere", json!(other[0]), json!(true)),
        ("plain", Value::Null, Value::Null),
    ] {
        sockets
            .connect(scene.connect(name, &node, &scene.anon_auth()))
            .await?;
        let argument = json!({"channel": "orders", "since": since});
        let answer = sockets.ask(name, "realtime:subscribe", argument).await?;
        assert_eq!((&answer["ok"], &answer["gap"]), (&json!(true), &gap));
        let argument = json!({"channel": "room:1", "since": "no id"});
        let answer = sockets.ask(name, "realtime:subscribe", argument).await?;
        assert_eq!(answer["error"]["code"], "INVALID_INPUT");
    }
    publish(&mut scene, "orders", 2..3).await?;
    for name in ["never", "elsewhere", "plain"] {
        assert_eq!(numbers(&mut sockets, name, 1).await?, [2], "{name}");
    }
    node.stop().await
}

#[tokio::test]
async fn nothing_falls_between_what_was_missed_and_what_is_live() -> anyhow::Result<()> {
    const STORED: i64 = 600;
    const LIVE: i64 = 120;
    const SOCKETS: i64 = 4;
    let mut scene = Scene::new().await?;
    // Far fewer than were missed: a replay must not overrun the socket.
    let node = scene.node_with(&[("INGOT_REALTIME_QUEUE", "64")]).await?;
    let mut sockets = Sockets::start()?;
    let ids = publish(&mut scene, "orders", 0..STORED).await?;
    let names: Vec<String> = (0..SOCKETS).map(|n| format!("s{n}")).collect();
    for name in &names {
        sockets
            .connect(scene.connect(name, &node, &scene.anon_auth()))
            .await?;
    }
    for (turn, name) in (0_i64..).zip(&names) {
        let argument = json!({"channel": "orders", "since": ids[0]});
        sockets
            .tell(
                json!({"do": "emit", "socket": name, "event": "realtime:subscribe",
                         "args": [argument], "ack": true}),
            )
            .await?;
        let share = LIVE / SOCKETS;
        let begin = STORED + turn * share;
        publish(&mut scene, "orders", begin..begin + share).await?;
    }
    let all: Vec<i64> = (1..STORED + LIVE).collect();
    for name in &names {
        assert_eq!(numbers(&mut sockets, name, all.len()).await?, all, "{name}");
    }
    let rest = sockets.rest().await?;
    let doubles = rest.iter().filter(|report| report["event"] == "e");
    assert_eq!(doubles.count(), 0);
    node.stop().await
}

#[tokio::test]
async fn a_node_that_was_cut_off_fetches_what_it_missed_first() -> anyhow::Result<()> {
    const MISSED: i64 = 700;
    let mut scene = Scene::new().await?;
    let url = scene.project.nats_url().to_owned();
    let (rest, port) = url.rsplit_once(':').unwrap_or_default();
    let mut passage = Passage::to(port.trim_end_matches('/').parse()?)?;
    passage.open()?;
    let through = format!("{rest}:{}", passage.port());
    let node = scene.node_with(&[("NATS_URL", &through)]).await?;
    let mut sockets = Sockets::start()?;
    sockets
        .connect(scene.connect("here", &node, &scene.anon_auth()))
        .await?;
    sockets.subscribe("here", "orders").await?;
    publish(&mut scene, "orders", 0..2).await?;
    assert_eq!(numbers(&mut sockets, "here", 2).await?, [0, 1]);
    passage.shut().await?;
    publish(&mut scene, "orders", 2..MISSED).await?;
    passage.open()?;
    tokio::time::sleep(Duration::from_millis(20)).await;
    publish(&mut scene, "orders", MISSED..MISSED + 20).await?;
    let all: Vec<i64> = (2..MISSED + 20).collect();
    assert_eq!(numbers(&mut sockets, "here", all.len()).await?, all);
    assert!(
        sockets.rest().await?.is_empty(),
        "one connection, no double"
    );
    node.stop().await
}

#[tokio::test]
async fn clocks_need_not_agree() -> anyhow::Result<()> {
    let mut scene = Scene::new().await?;
    let mut sockets = Sockets::start()?;
    let ids = publish(&mut scene, "orders", 0..5).await?;
    // PostgreSQL's clock is ahead of that of NATS, first hardly, then by more than a room's first
    // look into the stream allows for.
    for (turn, ahead) in [(0_usize, 0), (1, 6)] {
        let mut sql = scene.project.superuser().await?;
        sqlx::query(
            "insert into realtime.messages
                (id, event_name, channel_id, channel_name, payload, sender_type, created_at)
            select $1, 'e', id, 'orders', '{}', 'system', now() + make_interval(secs => $2)
            from realtime.channels where pattern = 'orders'",
        )
        .bind(ids[turn])
        .bind(f64::from(ahead))
        .execute(&mut sql)
        .await?;
        // Whose room remembers nothing yet.
        let node = scene.node().await?;
        let name = format!("s{turn}");
        sockets
            .connect(scene.connect(&name, &node, &scene.anon_auth()))
            .await?;
        let since = json!({"channel": "orders", "since": ids[turn]});
        let answer = sockets.ask(&name, "realtime:subscribe", since).await?;
        assert_eq!(answer["gap"], false, "{ahead} s: {answer}");
        let missed: Vec<i64> = (i64::try_from(turn)? + 1..5).collect();
        assert_eq!(numbers(&mut sockets, &name, missed.len()).await?, missed);
        node.stop().await?;
    }
    Ok(())
}
