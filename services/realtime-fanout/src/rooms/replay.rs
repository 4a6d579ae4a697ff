//! Giving a client that was away what it missed, and then the feed, with no hole and no double at
//! the seam.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};
use uuid::Uuid;

use super::feed::encode;
use super::log::{Following, LOG_LIFE, Log};
use super::room::{Room, RoomName};
use crate::node::Node;
use crate::session::Client;

/// A seat above this sequence hears nothing of the feed: its replay has yet to end.
pub(crate) const SILENT: u64 = u64::MAX;

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
    ) -> Result<Option<Self>, ingot_bus::BusError> {
        fill_log(node, room).await?;
        let sequence = room.log(|log| log.as_mut()?.sequence_of(message));
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
                let following = log.as_mut()?.following(self.sequence, chunk);
                if matches!(&following, Following::Entries(entries) if entries.is_empty()) {
                    self.room.seat_above(client.id(), self.sequence);
                }
                Some(following)
            });
            let entries = match following {
                Some(Following::Entries(entries)) if entries.is_empty() => return,
                Some(Following::Entries(entries)) => entries,
                // It was so slow that the room has forgotten what it still needs.
                Some(Following::Forgotten) | None => return client.disconnect("slow"),
            };
            if !self.wait_for_space(client).await {
                return client.disconnect("slow");
            }
            for entry in entries {
                self.sequence = entry.sequence;
                if entry.frame.is_some_and(|frame| !client.send(frame)) {
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

/// Reads the room's messages from the stream, unless somebody did so a moment ago.
async fn fill_log(node: &Arc<Node>, room: &Arc<Room>) -> Result<(), ingot_bus::BusError> {
    let _only = room.filling.lock().await;
    let RoomName::Channel(channel) = room.name() else {
        return Ok(());
    };
    if room.log(|log| log.as_ref().is_some_and(Log::is_usable)) {
        return Ok(());
    }
    let bus_room = ingot_bus::Room {
        project: room.project().clone(),
        channel: channel.clone(),
    };
    // From here on the feed's messages are kept, so that none is missing behind the stream's.
    room.log(|log| *log = Some(Log::after(0)));
    let stored = node.bus.stored(&bus_room, 0).await?;
    let mut whole = Log::after(0);
    for delivery in stored {
        whole.push(encode(node, room, delivery).await);
    }
    room.log(|log| {
        let fed = log.take();
        if let Some(Following::Entries(entries)) = fed.map(|mut fed| fed.following(0, usize::MAX)) {
            for entry in entries {
                whole.push(entry);
            }
        }
        whole.complete();
        *log = Some(whole);
    });
    node.tasks.spawn(forget_log(Arc::clone(room)));
    Ok(())
}

/// Drops the log when nobody has used it for a while.
async fn forget_log(room: Arc<Room>) {
    let closed = room.closed();
    let forgotten = async {
        loop {
            sleep_until(Instant::now() + LOG_LIFE).await;
            let gone = room.log(|log| {
                log.take_if(|log| !log.is_usable());
                log.is_none()
            });
            if gone {
                return;
            }
        }
    };
    closed.run_until_cancelled(forgotten).await;
}
