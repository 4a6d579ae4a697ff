//! One room of one project on this node.
//!
//! Messages of the feed reach only members that are past their replay: each seat knows from which
//! sequence on its socket hears. The log gets a message under the same lock as the members, so that nothing falls between replay and feed.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use ingot_project::ProjectId;
use tokio::sync::{Notify, watch};
use tokio::task::yield_now;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::log::{Entry, Log};
use crate::presence::Roster;
use crate::session::{Client, Frame, Offer, SocketId};

/// How long news of who comes and goes may wait, for each member that is to hear it, and in all.
const MOMENT: Duration = Duration::from_micros(50);
const SHORTEST_MOMENT: Duration = Duration::from_millis(2);
const LONGEST_MOMENT: Duration = Duration::from_millis(400);
/// Members that are told before other tasks have their turn.
const FLUSHED_AT_ONCE: usize = 100;

/// Name of a room (contract, realtime §3).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum RoomName {
    /// Sockets of one user.
    User(String),
    /// Sockets of one role.
    Role(String),
    /// Subscribers of one literal channel name.
    Channel(String),
}

/// A socket's place in a room.
struct Seat {
    client: Arc<Client>,
    /// It hears the feed's messages above this sequence.
    above: AtomicU64,
    /// It knows who is in the room, and hears who joins and leaves.
    present: AtomicBool,
}

/// What became of some messages.
pub(super) struct Delivered {
    /// What clients can hear of them, with the place of each among them.
    pub(super) frames: Vec<Frame>,
    pub(super) places: Vec<usize>,
    /// How many sockets have each frame.
    pub(super) reached: Vec<u32>,
    /// Those whose queues had no space, from a frame on.
    pub(super) full: Vec<(Arc<Client>, usize)>,
}

/// A room and its members.
pub(crate) struct Room {
    project: ProjectId,
    name: RoomName,
    members: RwLock<HashMap<SocketId, Seat>>,
    log: Mutex<Log>,
    /// Held by the one task that fills the log.
    pub(super) filling: tokio::sync::Mutex<()>,
    roster: Mutex<Roster>,
    /// Frames of [`Room::emit_present`] wait.
    deferred: Notify,
    /// Whether the feed is in place, if the room needs one: nothing published from then on is
    /// missed.
    fed: watch::Sender<bool>,
    /// Whether the members on other nodes are known.
    known: watch::Sender<bool>,
    closed: CancellationToken,
}

impl Room {
    pub(super) fn new(project: ProjectId, name: RoomName) -> Self {
        Self {
            project,
            name,
            members: RwLock::default(),
            log: Mutex::default(),
            filling: tokio::sync::Mutex::default(),
            roster: Mutex::default(),
            deferred: Notify::new(),
            fed: watch::Sender::new(false),
            known: watch::Sender::new(false),
            closed: CancellationToken::new(),
        }
    }

    pub(crate) fn project(&self) -> &ProjectId {
        &self.project
    }

    pub(crate) fn name(&self) -> &RoomName {
        &self.name
    }

    /// A member hears the feed's messages above a sequence.
    pub(super) fn add(&self, client: &Arc<Client>, above: u64) {
        let seat = Seat {
            client: Arc::clone(client),
            above: AtomicU64::new(above),
            present: AtomicBool::new(false),
        };
        self.members
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(client.id().clone(), seat);
    }

    pub(super) fn remove(&self, socket: &SocketId) {
        self.members
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(socket);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn len(&self) -> usize {
        self.members
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .len()
    }

    /// Sends a frame to every member. One that does not take it is disconnected, and holds up
    /// nobody.
    pub(crate) fn emit(&self, frame: &Frame) {
        let members = self.members.read().unwrap_or_else(PoisonError::into_inner);
        for seat in members.values() {
            seat.client.send(frame);
        }
    }

    /// Tells all who know who is here, without `except`, a moment later: when many come and go,
    /// each is told of many in one go.
    pub(crate) fn emit_present(&self, frame: &Frame, except: Option<&SocketId>) {
        let members = self.members.read().unwrap_or_else(PoisonError::into_inner);
        for (socket, seat) in members.iter() {
            if Some(socket) != except && seat.present.load(Ordering::Relaxed) {
                seat.client.defer(frame);
            }
        }
        drop(members);
        self.deferred.notify_one();
    }

    /// Writes what [`Room::emit_present`] left waiting; never ends.
    pub(super) async fn flush_for_ever(&self) {
        loop {
            self.deferred.notified().await;
            // The more there are, the more happens, and the more it costs to tell them of it.
            let members = u32::try_from(self.len()).unwrap_or(u32::MAX);
            let moment = MOMENT.saturating_mul(members);
            sleep(moment.clamp(SHORTEST_MOMENT, LONGEST_MOMENT)).await;
            for some in self.clients().chunks(FLUSHED_AT_ONCE) {
                for client in some {
                    client.flush_deferred();
                }
                yield_now().await;
            }
        }
    }

    fn clients(&self) -> Vec<Arc<Client>> {
        let members = self.members.read().unwrap_or_else(PoisonError::into_inner);
        let clients = members.values().map(|seat| Arc::clone(&seat.client));
        clients.collect()
    }

    /// A member knows who is here.
    pub(crate) fn seat_present(&self, socket: &SocketId) {
        let members = self.members.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(seat) = members.get(socket) {
            seat.present.store(true, Ordering::Relaxed);
        }
    }

    /// Hands messages of the feed, in their order, to every member that is to hear them.
    pub(super) fn deliver(&self, entries: Vec<Entry>) -> Delivered {
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        let mut delivered = Delivered {
            frames: Vec::with_capacity(entries.len()),
            places: Vec::with_capacity(entries.len()),
            reached: Vec::new(),
            full: Vec::new(),
        };
        let mut sequences = Vec::with_capacity(entries.len());
        for (place, entry) in entries.iter().enumerate() {
            if let Some(frame) = &entry.frame {
                delivered.frames.push(frame.clone());
                delivered.places.push(place);
                sequences.push(entry.sequence);
            }
        }
        delivered.reached.resize(delivered.frames.len(), 0);
        let members = self.members.read().unwrap_or_else(PoisonError::into_inner);
        for seat in members.values() {
            let above = seat.above.load(Ordering::Relaxed);
            let first = sequences.partition_point(|sequence| *sequence <= above);
            let frames = delivered.frames.get(first..).unwrap_or_default();
            if frames.is_empty() {
                continue;
            }
            let (taken, offer) = seat.client.offer_all(frames);
            for reached in delivered.reached.iter_mut().skip(first).take(taken) {
                *reached += 1;
            }
            if offer == Offer::Full {
                delivered
                    .full
                    .push((Arc::clone(&seat.client), first + taken));
            }
        }
        drop(members);
        for entry in entries {
            log.push(entry);
        }
        delivered
    }

    /// From now on a member hears the feed's messages above `sequence`.
    pub(super) fn seat_above(&self, socket: &SocketId, sequence: u64) {
        let members = self.members.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(seat) = members.get(socket) {
            seat.above.store(sequence, Ordering::Relaxed);
        }
    }

    /// From now on a member hears all that the feed brings.
    pub(crate) fn hear_all(&self, socket: &SocketId) {
        self.seat_above(socket, 0);
    }

    /// What `change` does to the log. The feed waits meanwhile.
    pub(super) fn log<T>(&self, change: impl FnOnce(&mut Log) -> T) -> T {
        change(&mut self.log.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Messages may be lost that nobody can get any more. Everybody is disconnected, so that they
    /// notice, and the log is dropped: sequences may count from 1 again.
    pub(super) fn start_over(&self) {
        self.log(Log::start_over);
        self.disconnect_all("gap");
    }

    /// Disconnects every member; `reason` is for metrics.
    pub(crate) fn disconnect_all(&self, reason: &'static str) {
        let members = self.members.read().unwrap_or_else(PoisonError::into_inner);
        for seat in members.values() {
            seat.client.disconnect(reason);
        }
    }

    /// What `change` does to the room's roster.
    pub(crate) fn roster<T>(&self, change: impl FnOnce(&mut Roster) -> T) -> T {
        change(&mut self.roster.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The members on other nodes are known.
    pub(crate) fn set_known(&self) {
        self.known
            .send_if_modified(|known| !std::mem::replace(known, true));
    }

    /// Returns when the members on other nodes are known.
    pub(crate) async fn known(&self) {
        // The sender lives as long as the room, so waiting cannot fail.
        self.known.subscribe().wait_for(|known| *known).await.ok();
    }

    /// The feed is in place, or no longer.
    pub(crate) fn set_fed(&self, fed: bool) {
        self.fed.send_replace(fed);
    }

    /// Returns when the feed is in place.
    pub(crate) async fn fed(&self) {
        // The sender lives as long as the room, so waiting cannot fail.
        self.fed.subscribe().wait_for(|fed| *fed).await.ok();
    }

    /// Ends the feed.
    pub(super) fn close(&self) {
        self.closed.cancel();
    }

    pub(super) fn closed(&self) -> CancellationToken {
        self.closed.clone()
    }
}
