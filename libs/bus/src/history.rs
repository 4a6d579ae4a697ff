//! The stream that keeps a project's room messages for a while.

use std::time::Duration;

use async_nats::jetstream::stream::{Config, Republish, State, StorageType};
use ingot_project::ProjectId;

use crate::connection::StreamLimits;
use crate::{Bus, BusError, subjects};

/// How long a message can be fetched again.
const MAX_AGE: Duration = Duration::from_mins(10);
/// How long the server remembers message ids, and refuses to store one twice.
const DUPLICATE_WINDOW: Duration = Duration::from_mins(10);

impl Bus {
    /// Makes the project's stream if it is not there. Returns what it holds.
    ///
    /// # Errors
    /// NATS does not answer, or has no room for the stream.
    pub(crate) async fn ensure_history(&self, project: &ProjectId) -> Result<State, BusError> {
        let stream = self
            .jetstream()
            .get_or_create_stream(config(project, self.stream_limits()))
            .await?;
        Ok(stream.cached_info().state.clone())
    }
}

/// On disk, so that a restart of NATS forgets nothing. Stored messages are sent on under another
/// subject: nodes see exactly what the stream accepted, with its sequence numbers.
fn config(project: &ProjectId, limits: StreamLimits) -> Config {
    Config {
        name: subjects::room_stream(project),
        description: Some("Realtime messages of the last minutes".to_owned()),
        subjects: vec![subjects::published(project)],
        storage: StorageType::File,
        max_age: MAX_AGE,
        max_bytes: limits.max_bytes,
        num_replicas: limits.replicas,
        duplicate_window: DUPLICATE_WINDOW,
        allow_direct: true,
        republish: Some(Republish {
            source: subjects::published(project),
            destination: subjects::delivered(project),
            headers_only: false,
        }),
        ..Config::default()
    }
}
