//! All rooms with a member on this node.

use std::sync::Arc;
use std::time::Duration;

use dashmap::DashMap;
use ingot_project::ProjectId;

use super::feed;
use super::log::Log;
use super::room::{Room, RoomName};
use crate::node::Node;
use crate::session::Client;

/// How often rooms forget; a message is kept for between one and two times as long.
const SWEEP_EVERY: Duration = Duration::from_secs(20);

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

    /// A room, if it has a member here.
    pub(crate) fn find(&self, project: &ProjectId, name: RoomName) -> Option<Arc<Room>> {
        let room = self.rooms.get(&(project.clone(), name))?;
        Some(Arc::clone(room.value()))
    }

    /// Does something with every room.
    pub(crate) fn for_each(&self, mut work: impl FnMut(&Room)) {
        for room in &self.rooms {
            work(room.value());
        }
    }

    /// Lets all rooms forget the messages of more than a while ago; never ends.
    pub(crate) async fn sweep_for_ever(&self) {
        loop {
            tokio::time::sleep(SWEEP_EVERY).await;
            self.for_each(|room| room.log(Log::sweep));
        }
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
