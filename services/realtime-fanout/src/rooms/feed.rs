//! What brings messages into a room: one task per room with a member.

use std::sync::Arc;
use std::time::Duration;

use ingot_bus::{RoomDelivery, RoomMessage, RoomNews, RoomSubscription};
use serde_json::value::RawValue;

use super::body::{Meta, with_meta};
use super::log::Entry;
use super::patience::Patience;
use super::room::{Room, RoomName};
use super::store;
use crate::channels::is_protocol_event;
use crate::dashboard;
use crate::node::Node;
use crate::presence;
use crate::session::event_frame;

/// Pauses between attempts to join the room on the bus.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// Most messages that are delivered together.
const BATCH: usize = 64;
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
            let company = presence::feed(Arc::clone(node), Arc::clone(room), channel.clone());
            node.tasks.spawn({
                let (closed, room) = (closed.clone(), Arc::clone(room));
                async move {
                    let company = async { tokio::join!(company, room.flush_for_ever()) };
                    closed.run_until_cancelled(Box::pin(company)).await;
                }
            });
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
    let mut patience = Patience::new();
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
                while let Some(news) = messages.news().await {
                    let mut next = Some(news);
                    while let Some(news) = next {
                        next = follow(&node, &room, news, &mut messages, &mut patience).await;
                    }
                }
                room.set_fed(false);
            }
            Err(error) => tracing::warn!(channel, %error, "cannot join a room on the bus"),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Delivers a message together with those that are there already. Returns what else is there.
async fn follow(
    node: &Node,
    room: &Room,
    news: RoomNews,
    messages: &mut RoomSubscription,
    patience: &mut Patience,
) -> Option<RoomNews> {
    let mut batch = match news {
        RoomNews::Message(delivery) => vec![delivery],
        RoomNews::Gap => {
            room.start_over();
            return None;
        }
    };
    let mut rest = None;
    while batch.len() < BATCH && rest.is_none() {
        match messages.news_now() {
            Some(RoomNews::Message(delivery)) => batch.push(delivery),
            Some(gap) => rest = Some(gap),
            None => break,
        }
    }
    deliver(node, room, batch, patience).await;
    rest
}

async fn deliver(node: &Node, room: &Room, batch: Vec<RoomDelivery>, patience: &mut Patience) {
    let mut spans = Vec::with_capacity(batch.len());
    let mut entries = Vec::with_capacity(batch.len());
    for delivery in batch {
        let span = tracing::info_span!(
            "fanout.emit",
            otel.kind = "consumer",
            project = %room.project(),
            message.id = %delivery.message.id,
            sockets = tracing::field::Empty,
        );
        ingot_telemetry::parent_from(&span, &delivery.trace);
        spans.push((delivery.message.id, span));
        entries.push(encode(node, room, delivery).await);
    }
    metrics::counter!("realtime_messages_total").increment(entries.len() as u64);
    let mut delivered = room.deliver(entries);
    for (client, first) in &delivered.full {
        let frames = delivered.frames.iter().zip(&mut delivered.reached);
        for (frame, reached) in frames.skip(*first) {
            if !patience.send(client, frame).await {
                break;
            }
            *reached += 1;
        }
    }
    for (place, sockets) in delivered.places.into_iter().zip(delivered.reached) {
        let Some((id, span)) = spans.get(place) else {
            continue;
        };
        span.record("sockets", sockets);
        metrics::counter!("realtime_deliveries_total").increment(u64::from(sockets));
        if sockets > 0 {
            node.counts.add(room.project(), *id, sockets);
        }
    }
}

/// Makes what clients get of a message, once for all of them.
pub(super) async fn encode(node: &Node, room: &Room, delivery: RoomDelivery) -> Entry {
    let RoomDelivery {
        message, sequence, ..
    } = delivery;
    let frame = if is_protocol_event(&message.event) {
        // A client takes such a name as its own connection's affair.
        tracing::debug!(event = message.event, "an event that no client can hear");
        None
    } else {
        let payload = payload(node, room, &message).await;
        payload.map(|payload| {
            let meta = Meta::message(&message);
            event_frame(&message.event, &with_meta(payload.get(), &meta))
        })
    };
    Entry {
        sequence,
        id: message.id,
        frame,
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
