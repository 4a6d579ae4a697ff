//! A part of the fault matrix, small enough for every run of the tests; `make chaos` has it all.

#![allow(
    clippy::unwrap_used,
    reason = "a failed step of a test is a failed test"
)]

use std::time::Duration;

use ingot_e2e::chaos::{Chaos, Fault, Load, PAUSE};
use ingot_schema::RealtimeSource;

/// A load for a part of the matrix.
fn load() -> Load {
    Load {
        subscribers: 15,
        channels: 6,
        calm: Duration::from_secs(2),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_doubled_or_reordered() {
    let mut chaos = Chaos::start(load(), RealtimeSource::Listen).await.unwrap();
    for fault in [
        Fault::RelayKilled,
        Fault::NatsRestarted,
        Fault::NodeKilled,
        Fault::EdgeKilled,
    ] {
        let account = chaos.run(fault).await.unwrap();
        assert!(account.is_flawless(), "{account}");
        assert!(account.committed > 200, "{account}");
    }
    // Its clients find another node while it still stands.
    let account = chaos.run(Fault::NodePaused).await.unwrap();
    assert!(account.is_flawless(), "{account}");
    assert!(account.cuts > 0, "nobody left it: {account}");
    assert!(account.longest_wait < PAUSE.as_secs_f64(), "{account}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nor_where_the_log_is_the_source() {
    let mut chaos = Chaos::start(load(), RealtimeSource::Wal).await.unwrap();
    for fault in [Fault::RelayKilled, Fault::ListenEnded, Fault::LogEnded] {
        let account = chaos.run(fault).await.unwrap();
        assert!(account.is_flawless(), "{account}");
        assert!(account.committed > 200, "{account}");
    }
}
