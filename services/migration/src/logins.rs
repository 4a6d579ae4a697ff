//! Keeps the projects' login roles as they should be.
//!
//! Code of a project may change the login that runs it (step 10 of the system migrations). Services
//! have that put right after each session of an administrator; what functions do that users call
//! is found here.

use std::time::Duration;

use ingot_project::Pools;
use tokio_util::sync::CancellationToken;

/// Pause between two looks.
const PAUSE: Duration = Duration::from_mins(1);

/// Looks at every project's logins again and again, until `shutdown`.
pub(crate) async fn keep(pools: Pools, shutdown: CancellationToken) {
    let look_again = async {
        loop {
            tokio::time::sleep(PAUSE).await;
            for project in pools.registry().iter() {
                if let Ok(admin) = pools.admin(&project.id) {
                    admin.mend().await;
                }
            }
        }
    };
    tokio::select! {
        () = look_again => {}
        () = shutdown.cancelled() => {}
    }
}
