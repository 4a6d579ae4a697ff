//! All rooms with a member on this node.

use std::sync::Arc;

use dashmap::DashMap;
use ingot_project::ProjectId;

use super::feed;
use super::room::{Room, RoomName};
use crate::node::Node;
use crate::session::Client;

/// Rooms by project and name. A room exists while it has a member; so does its feed.
#[derive(Default)]
pub(crate) struct Rooms {
    rooms: DashMap<(ProjectId, RoomName), Arc<Room>>,
}

impl Rooms {
    /// Puts a socket into a room, which is opened for the first one; it hears messages above a
    /// sequence. The caller keeps the room and hands it to [`Rooms::leave`].
    pub(crate) fn enter(
        &self,
        node: &Arc<Node>,
        client: &Arc<Client>,
        name: RoomName,
        above: u64,
    ) -> Arc<Room> {
        let project = client.project().id.clone();
        let key = (project.clone(), name.clone());
        // The map's lock is held until the member is in: a room with nobody in it may close.
        let entry = self.rooms.entry(key).or_insert_with(|| {
            let room = Arc::new(Room::new(project, name));
            feed::start(node, &room);
            metrics::gauge!("realtime_rooms").increment(1);
            room
        });
        entry.add(client, above);
        Arc::clone(entry.value())
    }

    /// Takes a socket out of a room; the last one closes it.
    pub(crate) fn leave(&self, client: &Client, room: &Room) {
        let key = (room.project().clone(), room.name().clone());
        let closed = self.rooms.remove_if(&key, |_, current| {
            current.remove(client.id());
            current.is_empty()
        });
        if let Some((_, room)) = closed {
            metrics::gauge!("realtime_rooms").decrement(1);
            room.close();
        }
    }
}
