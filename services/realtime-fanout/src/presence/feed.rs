//! What the other nodes say about one channel: one task per room with a member.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt};
use ingot_bus::{PeerWord, PresenceChange, PresenceNews};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use super::changes::{hear, tell_members};
use super::peers::say;
use crate::node::Node;
use crate::rooms::Room;

/// How long the other nodes may take to say who is there; one that is paused says nothing.
const ANSWERS: Duration = Duration::from_millis(700);
/// Pause before another attempt to subscribe.
const SUBSCRIBE_PAUSE: Duration = Duration::from_millis(500);

/// Hears of a channel until it is dropped.
pub(crate) async fn feed(node: Arc<Node>, room: Arc<Room>, channel: String) {
    let bus_room = ingot_bus::Room {
        project: room.project().clone(),
        channel,
    };
    loop {
        let rounds = node.peers.rounds();
        match node.bus.presence(&bus_room).await {
            Ok(news) => follow(&node, &room, &bus_room, news, rounds).await,
            Err(error) => tracing::warn!(%error, "cannot hear who is in a room"),
        }
        sleep(SUBSCRIBE_PAUSE).await;
    }
}

async fn follow(
    node: &Arc<Node>,
    room: &Room,
    bus_room: &ingot_bus::Room,
    mut news: impl Stream<Item = PresenceNews> + Unpin,
    mut rounds: watch::Receiver<u64>,
) {
    let (mut awaited, mut deadline) = ask(node, bus_room).await;
    loop {
        if awaited.is_empty() {
            room.set_known();
        }
        let next = tokio::select! {
            next = news.next() => next,
            Ok(()) = rounds.changed() => {
                // What was told or heard meanwhile may be lost.
                tell_members(node, room, None);
                (awaited, deadline) = ask(node, bus_room).await;
                continue;
            }
            () = sleep_until(deadline), if !awaited.is_empty() => {
                node.peers.doubt(&awaited);
                awaited.clear();
                continue;
            }
        };
        let Some(next) = next else {
            return;
        };
        if next.node == node.peers.name() {
            continue;
        }
        if let PresenceChange::Members { to, last, .. } = &next.change {
            match to {
                Some(to) if to != node.peers.name() => continue,
                Some(_) if *last => drop(awaited.remove(&next.node)),
                _ => {}
            }
        }
        hear(room, next);
    }
}

/// Asks all other nodes who is in the room. Returns those who have to answer, and until when.
async fn ask(node: &Node, room: &ingot_bus::Room) -> (HashSet<String>, Instant) {
    let others = node.peers.others().await;
    let asks = PeerWord::Asks {
        project: room.project.to_string(),
        channel: room.channel.clone(),
    };
    say(node, asks).await;
    (others, Instant::now() + ANSWERS)
}
