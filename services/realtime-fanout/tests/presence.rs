//! Who is in a channel, when its members are on several nodes.

mod scene;

use ingot_testkit::{Passage, TestService};
use scene::{Scene, Sockets, USER};
use serde_json::{Value, json};

/// Connects a user's socket and subscribes it to `orders`. Returns the ids of the members.
async fn join(
    scene: &Scene,
    sockets: &mut Sockets,
    (name, user): (&str, &str),
    node: &TestService,
) -> anyhow::Result<Vec<String>> {
    sockets
        .connect(scene.connect(name, node, &scene.user_auth(user)?))
        .await?;
    members(sockets, name).await
}

/// Subscribes a socket, once more if it is subscribed. Returns the ids of the members.
async fn members(sockets: &mut Sockets, name: &str) -> anyhow::Result<Vec<String>> {
    let answer = sockets.subscribe(name, "orders").await?;
    let members = answer
        .pointer("/presence/members")
        .and_then(Value::as_array);
    let ids = members.into_iter().flatten();
    Ok(ids
        .filter_map(|member| Some(member.get("presenceId")?.as_str()?.to_owned()))
        .collect())
}

/// The next event of a socket: its name, and whom it is about.
async fn event(sockets: &mut Sockets, name: &str) -> anyhow::Result<(String, String)> {
    let report = sockets.hear(name, "event").await?;
    let text = |path: &str| {
        let text = report.pointer(path).and_then(Value::as_str);
        text.unwrap_or_default().to_owned()
    };
    Ok((text("/event"), text("/args/0/member/presenceId")))
}

fn joined(user: &str) -> (String, String) {
    ("presence:join".to_owned(), user.to_owned())
}

fn left(user: &str) -> (String, String) {
    ("presence:leave".to_owned(), user.to_owned())
}

#[tokio::test]
async fn members_are_the_same_on_all_nodes() -> anyhow::Result<()> {
    let scene = Scene::new().await?;
    let nodes = [
        scene.node().await?,
        scene.node().await?,
        scene.node().await?,
    ];
    let mut sockets = Sockets::start()?;
    let watched = join(&scene, &mut sockets, ("w", "watcher"), &nodes[0]).await?;
    assert_eq!(watched, ["watcher"]);
    let first = join(&scene, &mut sockets, ("tab1", USER), &nodes[1]).await?;
    assert_eq!(first, ["watcher", USER], "in the order of joining");
    let report = sockets.hear("w", "event").await?;
    let seen = &report["args"][0];
    assert_eq!(report["event"], "presence:join");
    assert_eq!(seen["member"]["presenceId"], USER);
    assert_eq!(seen["meta"]["channel"], "orders");
    // A second tab on another node, and one on the watcher's own, are no further members.
    for (tab, node) in [("tab2", &nodes[2]), ("tab3", &nodes[0])] {
        let all = join(&scene, &mut sockets, (tab, USER), node).await?;
        assert_eq!(all, ["watcher", USER]);
    }
    for tab in ["tab1", "tab3"] {
        let command = json!({"do": "disconnect", "socket": tab});
        sockets.tell(command).await?;
    }
    assert_eq!(members(&mut sockets, "w").await?, ["watcher", USER]);
    let rest = sockets.rest().await?;
    assert!(
        rest.iter().all(|report| report.get("event").is_none()),
        "{rest:?}"
    );
    sockets
        .emit(
            "tab2",
            "realtime:unsubscribe",
            json!([{"channel": "orders"}]),
        )
        .await?;
    let report = sockets.hear("w", "event").await?;
    assert_eq!(report["event"], "presence:leave");
    let gone = &report["args"][0]["member"];
    assert_eq!(gone, &seen["member"], "with the time of the first socket");
    for node in nodes {
        node.stop().await?;
    }
    Ok(())
}

#[tokio::test]
async fn members_of_a_node_that_is_lost_leave_and_come_back_with_it() -> anyhow::Result<()> {
    let scene = Scene::new().await?;
    let url = scene.project.nats_url().to_owned();
    let (rest, port) = url.rsplit_once(':').unwrap_or_default();
    let mut passage = Passage::to(port.trim_end_matches('/').parse()?)?;
    passage.open()?;
    let through = format!("{rest}:{}", passage.port());
    let here = scene.node().await?;
    let lost = scene.node_with(&[("NATS_URL", &through)]).await?;
    let mut sockets = Sockets::start()?;
    join(&scene, &mut sockets, ("w", "watcher"), &here).await?;
    join(&scene, &mut sockets, ("one", "one"), &lost).await?;
    join(&scene, &mut sockets, ("two", "two"), &lost).await?;
    assert_eq!(event(&mut sockets, "w").await?, joined("one"));
    assert_eq!(event(&mut sockets, "w").await?, joined("two"));

    passage.shut().await?;
    let mut gone = vec![
        event(&mut sockets, "w").await?,
        event(&mut sockets, "w").await?,
    ];
    gone.sort();
    assert_eq!(gone, [left("one"), left("two")]);
    // What happens meanwhile is told later: one is gone for good.
    sockets
        .tell(json!({"do": "disconnect", "socket": "one"}))
        .await?;
    assert_eq!(members(&mut sockets, "w").await?, ["watcher"]);
    passage.open()?;
    assert_eq!(event(&mut sockets, "w").await?, joined("two"));
    assert_eq!(members(&mut sockets, "w").await?, ["watcher", "two"]);
    assert_eq!(members(&mut sockets, "two").await?, ["watcher", "two"]);
    for node in [here, lost] {
        node.stop().await?;
    }
    Ok(())
}

#[tokio::test]
async fn who_moves_from_a_node_that_stops_was_never_away() -> anyhow::Result<()> {
    let scene = Scene::new().await?;
    let (here, other) = (scene.node().await?, scene.node().await?);
    let stopping = scene.node().await?;
    let mut sockets = Sockets::start()?;
    join(&scene, &mut sockets, ("w", "watcher"), &here).await?;
    join(&scene, &mut sockets, ("moves", "moves"), &stopping).await?;
    join(&scene, &mut sockets, ("ends", "ends"), &stopping).await?;
    assert_eq!(event(&mut sockets, "w").await?, joined("moves"));
    assert_eq!(event(&mut sockets, "w").await?, joined("ends"));
    stopping.stop().await?;
    let back = join(&scene, &mut sockets, ("back", "moves"), &other).await?;
    assert_eq!(back, ["watcher", "moves"]);
    assert_eq!(
        event(&mut sockets, "w").await?,
        left("ends"),
        "nothing of who came back"
    );
    assert_eq!(members(&mut sockets, "w").await?, ["watcher", "moves"]);
    for node in [here, other] {
        node.stop().await?;
    }
    Ok(())
}

#[tokio::test]
async fn presence_tells_of_members_and_not_of_sockets() -> anyhow::Result<()> {
    let scene = Scene::new().await?;
    let node = scene.node().await?;
    let mut sockets = Sockets::start()?;
    let watcher = sockets
        .connect(scene.connect("w", &node, &scene.anon_auth()))
        .await?;
    sockets.subscribe("w", "orders").await?;
    for name in ["tab1", "tab2"] {
        sockets
            .connect(scene.connect(name, &node, &scene.user_auth(USER)?))
            .await?;
        let answer = sockets.subscribe(name, "orders").await?;
        let members = answer["presence"]["members"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        assert_eq!(members.len(), 2, "{answer}");
        assert_eq!(
            (&members[0]["type"], &members[0]["presenceId"]),
            (&json!("anonymous"), &json!(watcher))
        );
        assert_eq!(
            (&members[1]["type"], &members[1]["presenceId"]),
            (&json!("user"), &json!(USER))
        );
    }
    let join = sockets.hear("w", "event").await?;
    assert_eq!(join["event"], "presence:join");
    assert_eq!(join["args"][0]["meta"]["channel"], "orders");
    let joined_at = join["args"][0]["member"]["joinedAt"].clone();
    // The second tab is no second member, and the first to go no leave.
    sockets
        .emit(
            "tab1",
            "realtime:unsubscribe",
            json!([{"channel": "orders"}]),
        )
        .await?;
    assert!(sockets.rest().await?.is_empty());
    sockets
        .tell(json!({"do": "disconnect", "socket": "tab2"}))
        .await?;
    let leave = sockets.hear("w", "event").await?;
    assert_eq!(leave["event"], "presence:leave");
    assert_eq!(leave["args"][0]["member"]["joinedAt"], joined_at);
    node.stop().await
}
