//! The flow of `examples/first-flow`, with the unmodified official clients, on one and on many.

#![allow(
    clippy::unwrap_used,
    reason = "a failed step of a test is a failed test"
)]

use std::time::Duration;

use ingot_e2e::TestStack;
use ingot_standalone::Counts;

async fn first_flow(counts: Counts) {
    let stack = TestStack::start(counts).await.unwrap();
    let steps = stack
        .script("e2e/first-flow.mjs")
        .timeout(Duration::from_secs(90))
        .run()
        .await
        .unwrap();
    let last = steps.last().unwrap();
    assert_eq!(last["step"], "5 dashboard", "{steps:?}");
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn on_one_of_each() {
    first_flow(Counts::ONE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_several_of_each() {
    first_flow(Counts {
        edges: 2,
        api: 2,
        records: 2,
        fanout: 3,
        relays: 2,
    })
    .await;
}
