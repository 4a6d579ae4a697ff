//! Socket.IO sessions stick to the node that owns them, whichever edge they come through.

use crate::support::{NOWHERE, TestEdge, Upstream, eventually};

const NODES: [&str; 3] = ["node-aaa", "node-bbb", "node_ccc"];

async fn edges(nodes: &[Upstream]) -> [TestEdge; 2] {
    let addresses: Vec<_> = nodes.iter().map(|node| node.address.to_string()).collect();
    let variables = [("INGOT_UPSTREAM_REALTIME", addresses.join(","))];
    [
        TestEdge::start(&variables).await,
        TestEdge::start(&variables).await,
    ]
}

async fn ask(edge: &TestEdge, sid: &str) -> String {
    let path = format!("/socket.io/?EIO=4&transport=polling&sid={sid}");
    edge.get(&path).await.text().await.unwrap()
}

#[tokio::test]
async fn every_request_of_a_session_reaches_its_node_through_any_edge() {
    let nodes = NODES.map(|name| Upstream::node(name, None));
    let edges = edges(&nodes).await;
    for round in 0..5 {
        for edge in &edges {
            for name in NODES {
                assert_eq!(
                    ask(edge, &format!("{name}{round}0123456789abcdef")).await,
                    name
                );
            }
        }
    }
}

#[tokio::test]
async fn without_a_session_the_nodes_take_turns() {
    let nodes = NODES.map(|name| Upstream::node(name, None));
    let [edge, _] = edges(&nodes).await;
    for _ in 0..12 {
        edge.get("/socket.io/?EIO=4&transport=polling").await;
    }
    for node in &nodes {
        assert!(
            (3..=5).contains(&node.seen().len()),
            "{}",
            node.seen().len()
        );
    }
}

#[tokio::test]
async fn a_session_of_an_unknown_node_makes_the_edge_look_at_once() {
    let resting = Upstream::node(NODES[0], None);
    let vacant = Upstream::node(NODES[1], None).kill();
    let edge = TestEdge::start(&[
        (
            "INGOT_UPSTREAM_REALTIME",
            format!("{},{vacant}", resting.address),
        ),
        // Without the look, the edge would not hear of a new node for minutes.
        ("INGOT_UPSTREAM_CHECK_MS", "2400000".to_owned()),
    ])
    .await;
    let _newcomer = Upstream::node(NODES[1], Some(vacant));
    assert_eq!(ask(&edge, "node-bbb0123456789").await, NODES[1]);
}

#[tokio::test]
async fn a_session_of_a_dead_node_is_answered_by_a_living_one() {
    let [first, second, _] = NODES.map(|name| Upstream::node(name, None));
    let edge = TestEdge::start(&[(
        "INGOT_UPSTREAM_REALTIME",
        format!("{},{},{NOWHERE}", first.address, second.address),
    )])
    .await;
    assert_eq!(ask(&edge, "node-aaa0123456789").await, NODES[0]);
    first.kill();
    eventually("the living node answers", || async {
        ask(&edge, "node-aaa0123456789").await == NODES[1]
    })
    .await;
    assert_eq!(ask(&edge, "../../..").await, NODES[1]);
}
