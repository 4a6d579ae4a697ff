//! Tells dashboards which tables' rows changed (contract, database §1.6). Writers never wait for
//! it: events are hints, and equal ones that pile up become one.

use std::collections::HashSet;
use std::time::Duration;

use ingot_bus::{Bus, Change, DashboardEvent};
use ingot_project::ProjectId;
use tokio::sync::mpsc;
use tracing::{Instrument, Span};

/// Changes that may wait to be published; more are dropped, and counted.
const QUEUE: usize = 1024;
/// Longest time that one event may take.
const PUBLISH_TIMEOUT: Duration = Duration::from_secs(2);

/// Where the service reports changes.
#[derive(Debug, Clone)]
pub(crate) struct Events(mpsc::Sender<RowsChanged>);

#[derive(Debug)]
struct RowsChanged {
    project: ProjectId,
    /// `schema.table`.
    table: String,
    /// The request that changed the rows.
    span: Span,
}

impl Events {
    /// Reports that rows of a table may have changed.
    pub(super) fn rows_changed(&self, project: &ProjectId, schema: &str, table: &str) {
        let change = RowsChanged {
            project: project.clone(),
            table: format!("{schema}.{table}"),
            span: Span::current(),
        };
        if self.0.try_send(change).is_err() {
            metrics::counter!("records_dashboard_events_dropped_total").increment(1);
        }
    }
}

/// The reporting end, and the task that publishes. The task ends when all reporting ends are gone
/// and everything reported before was published.
pub(crate) fn publish(bus: Bus) -> (Events, impl Future<Output = ()> + Send) {
    let (sender, mut receiver) = mpsc::channel(QUEUE);
    let task = async move {
        let mut batch = Vec::with_capacity(QUEUE);
        while receiver.recv_many(&mut batch, QUEUE).await > 0 {
            let mut seen = HashSet::new();
            batch.retain(|change: &RowsChanged| {
                seen.insert((change.project.clone(), change.table.clone()))
            });
            for change in batch.drain(..) {
                publish_one(&bus, change).await;
            }
        }
    };
    (Events(sender), task)
}

async fn publish_one(bus: &Bus, change: RowsChanged) {
    let event = DashboardEvent::database(vec![Change {
        kind: "records".to_owned(),
        name: Some(change.table),
    }]);
    let publishing = bus
        .publish_dashboard(&change.project, &event)
        .instrument(change.span);
    let problem = match tokio::time::timeout(PUBLISH_TIMEOUT, publishing).await {
        Ok(Ok(())) => return,
        Ok(Err(error)) => error.to_string(),
        Err(_) => "the bus does not take messages".to_owned(),
    };
    tracing::warn!(problem, "dashboards did not hear of a change");
    metrics::counter!("records_dashboard_events_dropped_total").increment(1);
}
