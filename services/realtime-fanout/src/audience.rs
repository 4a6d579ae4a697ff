//! How many sockets got which message: counted here, summed and written by the relay.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ingot_bus::{Audience, Bus};
use ingot_project::ProjectId;
use uuid::Uuid;

/// How often counts are told.
const REPORT_EVERY: Duration = Duration::from_millis(250);
/// Counts that wait at the most; further ones are dropped, for these are statistics.
const MAX_WAITING: usize = 100_000;
/// Counts in one bus message.
const CHUNK: usize = 5_000;

/// Counts since the last report.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    waiting: Mutex<Vec<(ProjectId, Uuid, u32)>>,
}

impl Counts {
    /// `sockets` sockets of this node got a message.
    pub(crate) fn add(&self, project: &ProjectId, message: Uuid, sockets: u32) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() < MAX_WAITING {
            waiting.push((project.clone(), message, sockets));
        }
    }

    pub(crate) async fn report_for_ever(&self, bus: &Bus) {
        loop {
            tokio::time::sleep(REPORT_EVERY).await;
            self.report(bus).await;
        }
    }

    /// Tells the relays what was counted.
    pub(crate) async fn report(&self, bus: &Bus) {
        let counted =
            std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        let mut projects: HashMap<ProjectId, Vec<(Uuid, u32)>> = HashMap::new();
        for (project, message, sockets) in counted {
            projects
                .entry(project)
                .or_default()
                .push((message, sockets));
        }
        for (project, counts) in projects {
            for chunk in counts.chunks(CHUNK) {
                let audience = Audience {
                    counts: chunk.to_vec(),
                };
                if let Err(error) = bus.publish_audience(&project, &audience).await {
                    tracing::warn!(%project, %error, "audience counts are lost");
                }
            }
        }
    }
}
