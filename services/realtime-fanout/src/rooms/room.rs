//! One room of one project on this node.
//!
//! Messages of the feed reach only members that are past their replay: each seat knows from which
//! sequence on its socket hears. The log gets a message under the same lock as the members, so that nothing falls between replay and feed.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use engineioxide::Str;
use ingot_project::ProjectId;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::log::{Entry, Log};
use crate::presence::Roster;
use crate::session::{Client, Offer, SocketId};

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

/// What became of a message.
#[derive(Default)]
pub(super) struct Delivered {
    /// How many sockets have it.
    pub(super) reached: u32,
    /// Those whose queues had no space for it.
    pub(super) full: Vec<Arc<Client>>,
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
        self.members
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .is_empty()
    }

    /// Sends a frame to every member. One that does not take it is disconnected, and holds up
    /// nobody.
    pub(crate) fn emit(&self, frame: &Str) {
        let members = self.members.read().unwrap_or_else(PoisonError::into_inner);
        for seat in members.values() {
            seat.client.send(frame.clone());
        }
    }

    /// As [`Room::emit`], to those who know who is here, without `except`.
    pub(crate) fn emit_present(&self, frame: &Str, except: Option<&SocketId>) {
        let members = self.members.read().unwrap_or_else(PoisonError::into_inner);
        for (socket, seat) in members.iter() {
            if Some(socket) != except && seat.present.load(Ordering::Relaxed) {
                seat.client.send(frame.clone());
            }
        }
    }

    /// A member knows who is here.
    pub(crate) fn seat_present(&self, socket: &SocketId) {
        let members = self.members.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(seat) = members.get(socket) {
            seat.present.store(true, Ordering::Relaxed);
        }
    }

    /// Hands a message of the feed to every member that is to hear it.
    pub(super) fn deliver(&self, entry: Entry) -> Delivered {
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        let mut delivered = Delivered::default();
        if let Some(frame) = &entry.frame {
            let members = self.members.read().unwrap_or_else(PoisonError::into_inner);
            for seat in members.values() {
                if entry.sequence <= seat.above.load(Ordering::Relaxed) {
                    continue;
                }
                match seat.client.offer(frame.clone()) {
                    Offer::Taken => delivered.reached += 1,
                    Offer::Full => delivered.full.push(Arc::clone(&seat.client)),
                    Offer::Gone => {}
                }
            }
        }
        log.push(entry);
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
