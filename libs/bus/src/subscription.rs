//! Reading one room without holes, also over a lost connection.

use std::collections::VecDeque;
use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::Subscriber;
use async_nats::jetstream::stream::{DirectGetErrorKind, Stream};
use futures::{FutureExt, StreamExt};
use tokio::sync::watch;

use crate::connection::{Headers, Interruption};
use crate::stored::{StoredFrom, delivery};
use crate::{Bus, BusError, Room, RoomMessage, subjects};

/// Missed messages that are fetched one by one, which is quickest for few.
const SINGLES: u32 = 8;
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

/// What a room has to tell.
#[derive(Debug)]
pub enum RoomNews {
    /// The next message.
    Message(RoomDelivery),
    /// Messages may be lost: the connection was away for longer than the stream remembers, or the
    /// stream itself was lost.
    Gap,
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
    interruptions: watch::Receiver<Interruption>,
    /// Sequence of the last message handed out or waiting in `ready`.
    last: u64,
    ready: VecDeque<RoomNews>,
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
        let mut interruptions = self.interruptions();
        interruptions.mark_unchanged();
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
            interruptions,
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
            if let RoomNews::Message(delivery) = self.news().await? {
                return Some(delivery);
            }
        }
    }

    /// As [`RoomSubscription::next`], but also says when messages are lost.
    pub async fn news(&mut self) -> Option<RoomNews> {
        loop {
            if let Some(news) = self.ready.pop_front() {
                return Some(news);
            }
            if let Some(until) = self.behind {
                self.catch_up(until).await;
                self.behind = None;
                continue;
            }
            tokio::select! {
                biased;
                changed = self.interruptions.changed() => {
                    changed.ok()?;
                    self.behind = Some(u64::MAX);
                }
                message = self.live.next() => self.take(message?),
            }
        }
    }

    /// The next news if it is here already: nothing is waited for, and nothing fetched.
    pub fn news_now(&mut self) -> Option<RoomNews> {
        if self.ready.is_empty() && self.behind.is_none() {
            return self.news().now_or_never().flatten();
        }
        self.ready.pop_front()
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
            self.notice_loss().await;
        }
        let mut singles = 0;
        while self.last < until {
            let fetched = if singles < SINGLES {
                singles += 1;
                self.fetch_next().await
            } else {
                self.fetch_rest().await
            };
            match fetched {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => {
                    tracing::warn!(%error, "cannot fetch missed room messages, trying again");
                    tokio::time::sleep(RETRY_PAUSE).await;
                }
            }
        }
    }

    /// Fetches one message. Returns whether there was one.
    async fn fetch_next(&mut self) -> Result<bool, BusError> {
        let subject = self.room.stream_subject();
        let next = self
            .stream
            .direct_get_next_for_subject(subject, Some(self.last + 1))
            .await;
        match next {
            Ok(message) => {
                self.accept(message.sequence, message.headers, &message.payload);
                metrics::counter!("bus_room_messages_fetched_total").increment(1);
                Ok(true)
            }
            Err(error) if error.kind() == DirectGetErrorKind::NotFound => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Fetches all that the stream has. Returns whether there was anything.
    async fn fetch_rest(&mut self) -> Result<bool, BusError> {
        let from = StoredFrom::Above(self.last);
        let fetched = self.bus.stored(&self.room, from).await?;
        metrics::counter!("bus_room_messages_fetched_total").increment(fetched.len() as u64);
        let Some(last) = fetched.last() else {
            return Ok(false);
        };
        self.last = last.sequence;
        self.ready
            .extend(fetched.into_iter().map(RoomNews::Message));
        Ok(true)
    }

    /// Looks whether the stream still has all that this subscription may have missed. A NATS that
    /// lost its disk starts a new stream, which counts from 1 again.
    async fn notice_loss(&mut self) {
        let since = self.interruptions.borrow().since;
        let state = loop {
            match self.bus.ensure_history(&self.room.project).await {
                Ok(state) => break state,
                Err(error) => {
                    tracing::warn!(%error, "cannot look at the stream of rooms, trying again");
                    tokio::time::sleep(RETRY_PAUSE).await;
                }
            }
        };
        let begun_anew = state.last_sequence < self.last;
        let forgotten = state.first_sequence > self.last + 1 && state.first_timestamp > since;
        if begun_anew {
            self.last = 0;
        }
        if begun_anew || forgotten {
            tracing::warn!(project = %self.room.project, "room messages may be lost");
            metrics::counter!("bus_room_losses_total").increment(1);
            self.ready.push_back(RoomNews::Gap);
        }
    }

    fn accept(&mut self, sequence: u64, headers: HeaderMap, payload: &[u8]) {
        self.last = sequence;
        let delivery = delivery(&self.room, sequence, headers, payload);
        self.ready.extend(delivery.map(RoomNews::Message));
    }
}

fn position(headers: &HeaderMap) -> Option<Position> {
    let number = |name: &str| headers.get(name)?.as_str().parse().ok();
    Some(Position {
        sequence: number("Nats-Sequence")?,
        previous: number("Nats-Last-Sequence").unwrap_or(0),
    })
}
