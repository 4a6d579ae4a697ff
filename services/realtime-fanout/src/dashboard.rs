//! Dashboard events of the bus as `data:update` for administrators' sockets (contract, realtime
//! §8.1). They are hints: one that is missed while the bus is away is not repeated.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use ingot_bus::{Change, DashboardEvent};
use serde_json::{Map, Value, json};

use crate::node::Node;
use crate::rooms::{Meta, Room, with_meta};
use crate::session::event_frame;

/// Pause before another attempt to subscribe.
const SUBSCRIBE_PAUSE: Duration = Duration::from_secs(1);

/// Emits a project's events to the room of its administrators; never ends by itself.
pub(crate) async fn feed(node: Arc<Node>, room: Arc<Room>) {
    loop {
        match node.bus.dashboard_events(room.project()).await {
            Ok(mut events) => {
                room.set_fed(true);
                while let Some(event) = events.next().await {
                    let meta = Meta::system(Some("role:project_admin"));
                    let body = with_meta(&body(event).to_string(), &meta);
                    room.emit(&event_frame("data:update", &body));
                }
                room.set_fed(false);
            }
            Err(error) => tracing::warn!(%error, "cannot hear dashboard events"),
        }
        tokio::time::sleep(SUBSCRIBE_PAUSE).await;
    }
}

/// `{resource, data?}`; tables of `public` go by their bare names.
fn body(event: DashboardEvent) -> Value {
    let mut data: Map<String, Value> = event.data;
    if !event.changes.is_empty() {
        let changes: Vec<Change> = event.changes.into_iter().map(unqualified).collect();
        data.insert("changes".to_owned(), json!(changes));
    }
    if data.is_empty() {
        json!({ "resource": event.resource })
    } else {
        json!({ "resource": event.resource, "data": data })
    }
}

fn unqualified(change: Change) -> Change {
    let name = change.name.map(|name| match name.strip_prefix("public.") {
        Some(bare) => bare.to_owned(),
        None => name,
    });
    Change { name, ..change }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_public_is_left_out_of_names() {
        let change = |name: &str| Change {
            kind: "records".to_owned(),
            name: Some(name.to_owned()),
        };
        let event = DashboardEvent::database(vec![change("public.todos"), change("app.todos")]);
        assert_eq!(
            body(event),
            json!({
                "resource": "database",
                "data": {"changes": [
                    {"type": "records", "name": "todos"},
                    {"type": "records", "name": "app.todos"},
                ]},
            })
        );
    }
}
