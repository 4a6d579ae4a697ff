//! Packets of one socket that wait to be handled. An empty inbox takes no memory: most sockets say
//! nothing for hours.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use socketioxide_core::Value;
use socketioxide_core::packet::{Packet, PacketData};
use tokio::sync::Notify;

/// Packets that may wait, and their bytes; a client that sends more is disconnected.
const MOST: usize = 1024;
const MOST_BYTES: usize = 4_000_000;
/// Places that an inbox keeps when it is empty.
const KEPT: usize = 4;

/// The packets of one socket in the order of their arrival.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    waiting: Mutex<Waiting>,
    news: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    packets: VecDeque<Packet>,
    bytes: usize,
}

impl Inbox {
    /// Whether there was space for a packet.
    pub(super) fn put(&self, packet: Packet) -> bool {
        let weight = weight(&packet);
        let mut waiting = self.waiting();
        if waiting.packets.len() >= MOST || waiting.bytes + weight > MOST_BYTES {
            return false;
        }
        waiting.bytes += weight;
        waiting.packets.push_back(packet);
        drop(waiting);
        self.news.notify_one();
        true
    }

    /// The next packet. One task at a time may wait for it; nothing is lost when it is dropped.
    pub(super) async fn take(&self) -> Packet {
        loop {
            if let Some(packet) = self.take_now() {
                return packet;
            }
            self.news.notified().await;
        }
    }

    fn take_now(&self) -> Option<Packet> {
        let mut waiting = self.waiting();
        let packet = waiting.packets.pop_front()?;
        waiting.bytes = waiting.bytes.saturating_sub(weight(&packet));
        if waiting.packets.is_empty() && waiting.packets.capacity() > KEPT {
            waiting.packets = VecDeque::new();
        }
        Some(packet)
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Bytes of a packet's data.
fn weight(packet: &Packet) -> usize {
    match &packet.inner {
        PacketData::Connect(Some(data))
        | PacketData::Event(data, _)
        | PacketData::BinaryEvent(data, _)
        | PacketData::EventAck(data, _)
        | PacketData::BinaryAck(data, _) => {
            let Value::Str(text, attachments) = data else {
                return 0;
            };
            text.len() + attachments.iter().flatten().map(Bytes::len).sum::<usize>()
        }
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(text: String) -> Packet {
        Packet::event("/", Value::Str(text.into(), None))
    }

    #[tokio::test]
    async fn packets_keep_their_order_and_are_bounded() {
        let inbox = Inbox::default();
        for number in 0..MOST {
            assert!(inbox.put(event(format!("[{number}]"))));
        }
        assert!(!inbox.put(event(String::new())), "too many");
        for number in 0..MOST {
            let packet = inbox.take().await;
            assert_eq!(weight(&packet), format!("[{number}]").len());
        }
        assert!(inbox.put(event("x".repeat(MOST_BYTES))));
        assert!(!inbox.put(event("x".to_owned())), "too large");
        inbox.take().await;
        assert!(inbox.put(event("x".to_owned())));
    }
}
