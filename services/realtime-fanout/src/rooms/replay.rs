//! Giving a client that was away what it missed, and then the feed, with no hole and no double at
//! the seam.

use std::sync::Arc;
use std::time::Duration;

use ingot_bus::{BusError, StoredFrom};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::feed::encode;
use super::log::{Following, Log};
use super::room::{Room, RoomName};
use super::store;
use crate::node::Node;
use crate::session::Client;

/// A seat above this sequence hears nothing of the feed: its replay has yet to end.
pub(crate) const SILENT: u64 = u64::MAX;

/// How much earlier than a client needs it a log begins: others who come from the same place will
/// have seen less. All of it is read and encoded for each room, while everybody waits.
const EARLIER: Duration = Duration::from_secs(2);
/// The same for a message that is not found there: the most by which the clocks of PostgreSQL and
/// NATS may differ.
const MUCH_EARLIER: Duration = Duration::from_secs(15);
/// Messages taken from the log at once.
const CHUNK: usize = 64;
/// How long a client may take for one chunk.
const CHUNK_PATIENCE: Duration = Duration::from_secs(20);
/// Pause before another look at a queue that is too full.
const QUEUE_PAUSE: Duration = Duration::from_millis(5);

/// What a client missed.
pub(crate) struct Replay {
    node: Arc<Node>,
    room: Arc<Room>,
    /// It has everything up to here.
    sequence: u64,
}

impl Replay {
    /// Finds the message that a client saw last. `None` if the room does not remember it: the
    /// client may then have missed anything.
    ///
    /// # Errors
    /// The bus does not answer.
    pub(crate) async fn since(
        node: &Arc<Node>,
        room: &Arc<Room>,
        message: Uuid,
    ) -> Result<Option<Self>, BusError> {
        let find = || room.log(|log| log.sequence_of(message));
        let mut sequence = find();
        if sequence.is_none() {
            fill_log(node, room, message).await?;
            sequence = find();
        }
        Ok(sequence.map(|sequence| Self {
            node: Arc::clone(node),
            room: Arc::clone(room),
            sequence,
        }))
    }

    /// Sends what was missed, at the client's pace, and lets it hear the feed from there on.
    pub(crate) async fn run(mut self, client: &Client) {
        let chunk = CHUNK.min(self.node.settings.queue / 4).max(1);
        loop {
            // Under the log's lock, so that the feed adds nothing between the end and the seat.
            let following = self.room.log(|log| {
                let following = log.following(self.sequence, chunk);
                if matches!(&following, Following::Entries(entries) if entries.is_empty()) {
                    self.room.seat_above(client.id(), self.sequence);
                }
                following
            });
            let entries = match following {
                Following::Entries(entries) if entries.is_empty() => return,
                Following::Entries(entries) => entries,
                // It was so slow that the room has forgotten what it still needs.
                Following::Forgotten => return client.disconnect("slow"),
            };
            if !self.wait_for_space(client).await {
                return client.disconnect("slow");
            }
            for entry in entries {
                self.sequence = entry.sequence;
                if entry.frame.is_some_and(|frame| !client.send(&frame)) {
                    return;
                }
                metrics::counter!("realtime_replayed_total").increment(1);
            }
        }
    }

    /// Waits until at least half of the client's queue is free: presence and its other channels
    /// must find room, too.
    async fn wait_for_space(&self, client: &Client) -> bool {
        let deadline = Instant::now() + CHUNK_PATIENCE;
        while !client.has_space_for(self.node.settings.queue / 2) {
            if Instant::now() > deadline {
                return false;
            }
            sleep(QUEUE_PAUSE).await;
        }
        true
    }
}

/// Reads the room's messages from the stream, as far back as a message needs it, unless somebody did
/// so a moment ago.
async fn fill_log(node: &Arc<Node>, room: &Arc<Room>, message: Uuid) -> Result<(), BusError> {
    let RoomName::Channel(channel) = room.name() else {
        return Ok(());
    };
    let bus_room = ingot_bus::Room {
        project: room.project().clone(),
        channel: channel.clone(),
    };
    let _only = room.filling.lock().await;
    let is_known = || room.log(|log| log.sequence_of(message)).is_some();
    // Who came at the same moment, from a node that is gone, has mostly seen the same: whoever is
    // first asks for all of them.
    if is_known() {
        return Ok(());
    }
    for from in beginnings(node, room, message).await {
        if !room.log(|log| log.reaches_back_to(from)) {
            read_stream(node, room, &bus_room, from).await?;
        }
        if is_known() {
            break;
        }
    }
    Ok(())
}

/// Puts what the stream has of a room in front of what the feed brought.
async fn read_stream(
    node: &Arc<Node>,
    room: &Arc<Room>,
    bus_room: &ingot_bus::Room,
    from: StoredFrom,
) -> Result<(), BusError> {
    // From here on all of the feed's messages are kept, so that none is missing behind the stream's.
    let number = room.log(|log| {
        log.keep();
        log.number()
    });
    let mut stored = Vec::new();
    for delivery in node.bus.stored(bus_room, from).await? {
        stored.push(encode(node, room, delivery).await);
    }
    let stored = Log::of(stored, from);
    room.log(|log| {
        // Otherwise the room has started over, and disconnected its sockets.
        if log.number() == number {
            log.fill(stored);
        }
    });
    Ok(())
}

/// Where to look for a message, most likely first. The stream cannot be searched by ids; the
/// message's row tells when its transaction began, which was before the stream got it.
async fn beginnings(node: &Node, room: &Room, message: Uuid) -> Vec<StoredFrom> {
    match store::published_at(&node.pools, room.project(), message).await {
        Ok(Some(time)) => [EARLIER, MUCH_EARLIER]
            .map(|earlier| StoredFrom::Time(time - earlier))
            .to_vec(),
        Ok(None) => vec![StoredFrom::Beginning],
        Err(error) => {
            tracing::debug!(%error, "cannot look up a message, reading the whole room");
            vec![StoredFrom::Beginning]
        }
    }
}
