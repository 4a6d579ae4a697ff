//! What brings messages into a room: one task per room with a member.

use std::sync::Arc;
use std::time::Duration;

use ingot_bus::{RoomDelivery, RoomMessage};
use serde_json::value::RawValue;

use super::body::{Meta, with_meta};
use super::room::{Room, RoomName};
use super::store;
use crate::channels::is_protocol_event;
use crate::dashboard;
use crate::node::Node;
use crate::session::event_frame;

/// Pauses between attempts to join the room on the bus.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// Attempts to read a payload that was too long for the bus, and the pause between them.
const READ_ATTEMPTS: u32 = 10;
const READ_PAUSE: Duration = Duration::from_millis(500);

/// Starts the feed of a room, if it has one; it ends when the room closes.
pub(super) fn start(node: &Arc<Node>, room: &Arc<Room>) {
    let closed = room.closed();
    let (feeding, fed) = (Arc::clone(node), Arc::clone(room));
    match room.name() {
        RoomName::Channel(channel) => {
            let channel = channel.clone();
            node.tasks.spawn(async move {
                closed
                    .run_until_cancelled(Box::pin(feed(feeding, fed, channel)))
                    .await
            });
        }
        RoomName::Role(role) if role == "project_admin" => {
            node.tasks.spawn(async move {
                closed
                    .run_until_cancelled(dashboard::feed(feeding, fed))
                    .await
            });
        }
        RoomName::Role(_) | RoomName::User(_) => room.set_fed(true),
    }
}

async fn feed(node: Arc<Node>, room: Arc<Room>, channel: String) {
    let mut pause = FIRST_PAUSE;
    loop {
        let joined = node
            .bus
            .join(ingot_bus::Room {
                project: room.project().clone(),
                channel: channel.clone(),
            })
            .await;
        match joined {
            Ok(mut messages) => {
                room.set_fed(true);
                pause = FIRST_PAUSE;
                while let Some(delivery) = messages.next().await {
                    deliver(&node, &room, delivery).await;
                }
                room.set_fed(false);
            }
            Err(error) => tracing::warn!(channel, %error, "cannot join a room on the bus"),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

async fn deliver(node: &Node, room: &Room, delivery: RoomDelivery) {
    let RoomDelivery { message, trace, .. } = delivery;
    let span = tracing::info_span!(
        "fanout.emit",
        otel.kind = "consumer",
        project = %room.project(),
        message.id = %message.id,
        sockets = tracing::field::Empty,
    );
    ingot_telemetry::parent_from(&span, &trace);
    // A client takes such a name as its own connection's affair.
    if is_protocol_event(&message.event) {
        tracing::debug!(event = message.event, "an event that no client can hear");
        return;
    }
    let Some(payload) = payload(node, room, &message).await else {
        return;
    };
    let meta = Meta::message(&message);
    let frame = event_frame(&message.event, &with_meta(payload.get(), &meta));
    let sockets = span.in_scope(|| room.emit(&frame, None));
    span.record("sockets", sockets);
    metrics::counter!("realtime_messages_total").increment(1);
    metrics::counter!("realtime_deliveries_total").increment(u64::from(sockets));
    if sockets > 0 {
        node.counts.add(room.project(), message.id, sockets);
    }
}

/// The payload as it travelled, or from its row. `None` when the row is gone, or the database for
/// so long that waiting would hold up the room.
async fn payload(node: &Node, room: &Room, message: &RoomMessage) -> Option<Box<RawValue>> {
    if let Some(payload) = &message.payload {
        return Some(payload.clone());
    }
    for _ in 0..READ_ATTEMPTS {
        match store::payload(&node.pools, room.project(), message.id).await {
            Ok(payload) => return payload,
            Err(error) => tracing::warn!(message = %message.id, %error, "cannot read a payload"),
        }
        tokio::time::sleep(READ_PAUSE).await;
    }
    tracing::error!(message = %message.id, "a message with a long payload is not delivered");
    None
}
