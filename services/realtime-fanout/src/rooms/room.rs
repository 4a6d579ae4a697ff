//! One room of one project on this node.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use engineioxide::Str;
use ingot_project::ProjectId;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::presence::Roster;
use crate::session::{Client, SocketId};

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

/// A room and its members.
pub(crate) struct Room {
    project: ProjectId,
    name: RoomName,
    members: RwLock<HashMap<SocketId, Arc<Client>>>,
    roster: Mutex<Roster>,
    /// Whether the feed is in place, if the room needs one: nothing published from then on is
    /// missed.
    fed: watch::Sender<bool>,
    closed: CancellationToken,
}

impl Room {
    pub(super) fn new(project: ProjectId, name: RoomName) -> Self {
        Self {
            project,
            name,
            members: RwLock::default(),
            roster: Mutex::default(),
            fed: watch::Sender::new(false),
            closed: CancellationToken::new(),
        }
    }

    pub(crate) fn project(&self) -> &ProjectId {
        &self.project
    }

    pub(crate) fn name(&self) -> &RoomName {
        &self.name
    }

    pub(super) fn add(&self, client: &Arc<Client>) {
        self.members
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(client.id().clone(), Arc::clone(client));
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

    /// Sends a frame to every member but `except`. Returns to how many. A member that does not
    /// take it is disconnected, and holds up nobody.
    pub(crate) fn emit(&self, frame: &Str, except: Option<&SocketId>) -> u32 {
        let members = self.members.read().unwrap_or_else(PoisonError::into_inner);
        let mut reached = 0;
        for (socket, client) in members.iter() {
            if Some(socket) != except && client.send(frame.clone()) {
                reached += 1;
            }
        }
        reached
    }

    /// What `change` does to the room's roster.
    pub(crate) fn roster<T>(&self, change: impl FnOnce(&mut Roster) -> T) -> T {
        change(&mut self.roster.lock().unwrap_or_else(PoisonError::into_inner))
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
