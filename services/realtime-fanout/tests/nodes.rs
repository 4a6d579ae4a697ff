//! Several nodes, and a node that the bus does not reach.

mod scene;

use std::time::{Duration, Instant};

use anyhow::Context;
use ingot_testkit::Passage;
use scene::{Scene, Sockets};
use serde_json::{Value, json};
use url::Url;

/// How long a node lets a socket wait for the bus before it is connected without it.
const FEED_PATIENCE: Duration = Duration::from_secs(2);

#[tokio::test]
async fn two_nodes_deliver_and_count_and_admins_hear_of_changes() -> anyhow::Result<()> {
    use futures::StreamExt;

    let mut scene = Scene::new().await?;
    let mut audiences = scene.bus.audiences(&scene.project.project().id).await?;
    let nodes = [scene.node().await?, scene.node().await?];
    let mut sockets = Sockets::start()?;
    let admin = json!({"apiKey": scene.keys.api_key.expose()});
    for (name, node) in ["one", "two"].iter().zip(&nodes) {
        sockets.connect(scene.connect(name, node, &admin)).await?;
        sockets.subscribe(name, "orders").await?;
    }
    let join = sockets.hear("one", "event").await?;
    assert_eq!(join["event"], "presence:join", "of the other node's");
    let id = scene.publish("orders", "created", "{}").await?;
    for name in ["one", "two"] {
        assert_eq!(
            sockets.hear(name, "event").await?["args"][0]["meta"]["messageId"],
            id.to_string()
        );
    }
    let mut total = 0;
    while total < 2 {
        let counted = tokio::time::timeout(Duration::from_secs(10), audiences.next()).await?;
        total += counted
            .unwrap_or_default()
            .counts
            .iter()
            .map(|(_, sockets)| sockets)
            .sum::<u32>();
    }
    assert_eq!(total, 2);
    let change = ingot_bus::Change {
        kind: "records".to_owned(),
        name: Some("public.todos".to_owned()),
    };
    let event = ingot_bus::DashboardEvent::database(vec![change]);
    scene
        .bus
        .publish_dashboard(&scene.project.project().id, &event)
        .await?;
    for name in ["one", "two"] {
        let update = sockets.hear(name, "event").await?;
        assert_eq!(update["event"], "data:update");
        assert_eq!(update["args"][0]["resource"], "database");
        assert_eq!(
            update["args"][0]["data"]["changes"],
            json!([{"type": "records", "name": "todos"}])
        );
        assert_eq!(update["args"][0]["meta"]["channel"], "role:project_admin");
    }
    for node in nodes {
        node.stop().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_connected_admin_misses_no_change() -> anyhow::Result<()> {
    let scene = Scene::new().await?;
    let mut nats: Url = scene.project.nats_url().parse()?;
    let mut bus = Passage::to(nats.port().context("NATS has a port")?)?;
    bus.open()?;
    nats.set_port(Some(bus.port())).ok();
    let node = scene.node_with(&[("NATS_URL", nats.as_str())]).await?;
    let mut sockets = Sockets::start()?;
    let admin = json!({"apiKey": scene.keys.api_key.expose()});

    // While the node cannot hear of changes, nobody is told that he would. Others get in.
    bus.hold();
    let held = Instant::now();
    sockets.tell(scene.connect("admin", &node, &admin)).await?;
    sockets
        .connect(scene.connect("anon", &node, &scene.anon_auth()))
        .await?;
    let early = sockets.rest().await?;
    if held.elapsed() >= FEED_PATIENCE {
        // The machine was too busy for this look, and the patience has rightly ended.
        return node.stop().await;
    }
    assert_eq!(early, Vec::<Value>::new());
    bus.release();
    sockets.hear("admin", "connected").await?;
    let event = ingot_bus::DashboardEvent::of(ingot_bus::Resource::Users);
    scene
        .bus
        .publish_dashboard(&scene.project.project().id, &event)
        .await?;
    let update = sockets.hear("admin", "event").await?;
    assert_eq!(update["args"][0]["resource"], "users");
    node.stop().await
}
