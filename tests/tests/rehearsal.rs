//! A part of the rehearsal, small enough for every run of the tests; `make rehearsal` has it all.

#![allow(
    clippy::unwrap_used,
    reason = "a failed step of a test is a failed test"
)]

/// What only root may do, and `cargo xtask test` runs for root alone.
mod as_root {
    use std::time::Duration;

    use ingot_e2e::chaos::Load;
    use ingot_e2e::rehearsal::{Lan, Rehearsal, Scene};
    use ingot_standalone::Service;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    #[ignore = "makes networks, which only root may"]
    async fn no_client_can_tell() {
        assert_eq!(Lan::impediment(), None);
        let load = Load {
            subscribers: 10,
            channels: 5,
            calm: Duration::from_secs(1),
        };
        let mut rehearsal = Rehearsal::start(load).await.unwrap();
        for scene in [
            Scene::Rolled(Service::Migration),
            Scene::Rolled(Service::RealtimeFanout),
        ] {
            let outcome = rehearsal.play(scene).await.unwrap();
            assert!(
                outcome.is_flawless(),
                "{outcome}: {:?}",
                outcome.requests.complaint
            );
            assert!(outcome.requests.sent > 20, "{outcome}");
            assert!(outcome.messages.committed > 100, "{outcome}");
        }
        rehearsal.end().await.unwrap();
    }
}
