//! Reading one room without holes, also over a lost connection.

use std::collections::VecDeque;
use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::Subscriber;
use async_nats::jetstream::stream::{DirectGetErrorKind, Stream};
use futures::StreamExt;
use tokio::sync::watch;

use crate::connection::Headers;
use crate::{Bus, BusError, Room, RoomMessage, subjects};

/// Pause before a gap is asked for again when the stream did not answer.
const RETRY_PAUSE: Duration = Duration::from_millis(500);

/// A message of the room, with the trace context that it came with.
#[derive(Debug)]
pub struct RoomDelivery {
    /// The message.
    pub message: RoomMessage,
    /// Where it stands in the project's stream; grows from message to message.
    pub sequence: u64,
    /// Carries `traceparent`.
    pub trace: Headers,
}

/// The messages of a room from the moment of joining on, in the stream's order.
///
/// The stream numbers messages and tells with each the number of the room's one before. A number
/// that does not follow, and every new connection to NATS, makes the subscription fetch what it
/// missed before it hands out anything newer.
#[derive(Debug)]
pub struct RoomSubscription {
    bus: Bus,
    room: Room,
    live: Subscriber,
    stream: Stream<()>,
    connections: watch::Receiver<u64>,
    /// Sequence of the last message handed out or waiting in `ready`.
    last: u64,
    ready: VecDeque<RoomDelivery>,
    /// Sequence up to which the stream must be read before anything newer is taken.
    behind: Option<u64>,
}

impl Bus {
    /// Joins a room. When this returns, nothing published from then on is missed.
    ///
    /// # Errors
    /// NATS does not answer.
    pub async fn join(&self, room: Room) -> Result<RoomSubscription, BusError> {
        self.ensure_history(&room.project).await?;
        let mut connections = self.connections();
        connections.mark_unchanged();
        let live = self.client().subscribe(room.delivery_subject()).await?;
        let stream = self
            .jetstream()
            .get_stream_no_info(subjects::room_stream(&room.project))
            .await?;
        // The server handles what one connection sends in order: its answer to this question also
        // says that the subscription is in place.
        let last = match stream
            .direct_get_last_for_subject(room.stream_subject())
            .await
        {
            Ok(message) => message.sequence,
            Err(error) if error.kind() == DirectGetErrorKind::NotFound => 0,
            Err(error) => return Err(error.into()),
        };
        Ok(RoomSubscription {
            bus: self.clone(),
            room,
            live,
            stream,
            connections,
            last,
            ready: VecDeque::new(),
            behind: None,
        })
    }
}

/// What NATS says about a stored message that it sends on.
struct Position {
    sequence: u64,
    /// The room's message before it; 0 for the first.
    previous: u64,
}

impl RoomSubscription {
    /// The next message; `None` once the connection is closed for good. Nothing is lost when the
    /// future is dropped.
    pub async fn next(&mut self) -> Option<RoomDelivery> {
        loop {
            if let Some(delivery) = self.ready.pop_front() {
                return Some(delivery);
            }
            if let Some(until) = self.behind {
                self.catch_up(until).await;
                self.behind = None;
                continue;
            }
            tokio::select! {
                biased;
                changed = self.connections.changed() => {
                    changed.ok()?;
                    self.behind = Some(u64::MAX);
                }
                message = self.live.next() => self.take(message?),
            }
        }
    }

    fn take(&mut self, message: async_nats::Message) {
        let headers = message.headers.unwrap_or_default();
        let Some(position) = position(&headers) else {
            tracing::warn!(subject = %message.subject, "a room message without its position");
            return;
        };
        if position.sequence <= self.last {
            return;
        }
        if position.previous > self.last {
            // The stream has the message at hand as well.
            self.behind = Some(position.sequence);
        } else {
            self.accept(position.sequence, headers, &message.payload);
        }
    }

    /// Reads the room's messages after the last one up to and including `until`.
    async fn catch_up(&mut self, until: u64) {
        metrics::counter!("bus_room_gaps_total").increment(1);
        if until == u64::MAX {
            self.notice_new_stream().await;
        }
        while self.last < until {
            let next = self
                .stream
                .direct_get_next_for_subject(self.room.stream_subject(), Some(self.last + 1))
                .await;
            match next {
                Ok(message) => {
                    self.accept(message.sequence, message.headers, &message.payload);
                    metrics::counter!("bus_room_messages_fetched_total").increment(1);
                }
                Err(error) if error.kind() == DirectGetErrorKind::NotFound => return,
                Err(error) => {
                    tracing::warn!(%error, "cannot fetch missed room messages, trying again");
                    tokio::time::sleep(RETRY_PAUSE).await;
                }
            }
        }
    }

    /// A NATS that lost its disk starts a new stream, which counts from 1 again.
    async fn notice_new_stream(&mut self) {
        loop {
            match self.bus.ensure_history(&self.room.project).await {
                Ok(last_sequence) => {
                    if last_sequence < self.last {
                        tracing::warn!(project = %self.room.project, "the stream was started anew");
                        self.last = 0;
                    }
                    return;
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot look at the stream of rooms, trying again");
                    tokio::time::sleep(RETRY_PAUSE).await;
                }
            }
        }
    }

    fn accept(&mut self, sequence: u64, headers: HeaderMap, payload: &[u8]) {
        self.last = sequence;
        match serde_json::from_slice::<RoomMessage>(payload) {
            // Another room with the same token is possible in theory.
            Ok(message) if message.channel == self.room.channel => {
                self.ready.push_back(RoomDelivery {
                    message,
                    sequence,
                    trace: Headers(headers),
                });
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "unreadable room message"),
        }
    }
}

fn position(headers: &HeaderMap) -> Option<Position> {
    let number = |name: &str| headers.get(name)?.as_str().parse().ok();
    Some(Position {
        sequence: number("Nats-Sequence")?,
        previous: number("Nats-Last-Sequence").unwrap_or(0),
    })
}
