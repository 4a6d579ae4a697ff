//! Writing a project's rooms: in order, each message once, whatever the connection does.

use std::collections::VecDeque;
use std::time::Duration;

use async_nats::jetstream::context::PublishAckFuture;
use async_nats::jetstream::message::PublishMessage;
use bytes::Bytes;
use ingot_project::ProjectId;
use tokio::sync::watch;

use crate::connection::{Headers, Interruption};
use crate::{Bus, BusError, Room, RoomMessage};

/// Most messages sent and not yet confirmed.
const MAX_UNCONFIRMED: usize = 256;
/// Most bytes sent and not yet confirmed.
const MAX_UNCONFIRMED_BYTES: usize = 8 << 20;
/// Pauses between attempts while the bus does not accept.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Publishes messages of one project in the order of the calls.
///
/// Confirmations are pipelined. Each message names the one before it, and the stream refuses a
/// message whose predecessor it did not store last: a message lost on the way stops those behind
/// it instead of letting them overtake. The window is then sent again from the first unconfirmed
/// message; what did arrive is recognised by its id. So another writer of the same project, such
/// as a relay that does not know yet that it was replaced, cannot reorder or double anything.
#[derive(Debug)]
pub struct RoomPublisher {
    bus: Bus,
    project: ProjectId,
    window: VecDeque<Unconfirmed>,
    window_bytes: usize,
    interruptions: watch::Receiver<Interruption>,
    /// Id of the last message that the stream has for certain, or that is in the window.
    last: Option<String>,
}

#[derive(Debug)]
struct Unconfirmed {
    id: String,
    subject: String,
    headers: async_nats::HeaderMap,
    body: Bytes,
    confirmation: Option<PublishAckFuture>,
    /// Number of the connection that it was sent on.
    connection: u64,
}

impl RoomPublisher {
    /// A publisher with nothing under way.
    pub fn new(bus: Bus, project: ProjectId) -> Self {
        Self {
            interruptions: bus.interruptions(),
            bus,
            project,
            window: VecDeque::new(),
            window_bytes: 0,
            last: None,
        }
    }

    /// Makes sure that the project's stream is there.
    ///
    /// # Errors
    /// NATS does not answer, or has no room for the stream.
    pub async fn prepare(&self) -> Result<(), BusError> {
        self.bus.ensure_history(&self.project).await?;
        Ok(())
    }

    /// Sends a message with the current trace context. Waits while too much is unconfirmed, and as
    /// long as the bus is away: dropping the future gives up.
    ///
    /// # Errors
    /// The message cannot be encoded.
    pub async fn publish(&mut self, message: &RoomMessage) -> Result<(), BusError> {
        let room = Room {
            project: self.project.clone(),
            channel: message.channel.clone(),
        };
        let mut headers = Headers::default();
        ingot_telemetry::inject(&mut headers);
        let body = Bytes::from(serde_json::to_vec(message)?);
        while self.window.len() >= MAX_UNCONFIRMED
            || (self.window_bytes + body.len() > MAX_UNCONFIRMED_BYTES && !self.window.is_empty())
        {
            self.confirm_first().await;
        }
        let mut unconfirmed = Unconfirmed {
            id: message.id.to_string(),
            subject: room.stream_subject(),
            headers: headers.0,
            body,
            confirmation: None,
            connection: 0,
        };
        // Without a predecessor the first one goes alone, so that the chain starts on firm ground.
        let alone = self.last.is_none();
        unconfirmed.connection = self.interruptions.borrow().number;
        unconfirmed.confirmation = self.send(&unconfirmed, self.last.as_deref()).await;
        self.last = Some(unconfirmed.id.clone());
        self.window_bytes += unconfirmed.body.len();
        self.window.push_back(unconfirmed);
        if alone {
            self.flush().await;
        }
        Ok(())
    }

    /// Waits until the stream has everything that was published.
    pub async fn flush(&mut self) {
        while !self.window.is_empty() {
            self.confirm_first().await;
        }
    }

    /// Waits until the stream has the oldest message of the window; sends again what it has not.
    async fn confirm_first(&mut self) {
        let mut pause = FIRST_PAUSE;
        while let Some(first) = self.window.front_mut() {
            let failure = match first.confirmation.take() {
                Some(confirmation) => {
                    let sent_on = first.connection;
                    tokio::select! {
                        biased;
                        confirmed = confirmation => match confirmed {
                            Ok(_stored) => break,
                            Err(error) => error.to_string(),
                        },
                        // What was under way on a former connection will not be confirmed.
                        Ok(_) = self.interruptions.wait_for(|last| last.number != sent_on) => {
                            "connected anew".to_owned()
                        }
                    }
                }
                None => "not sent".to_owned(),
            };
            tracing::warn!(project = %self.project, %failure, "room messages are sent again");
            metrics::counter!("bus_room_resends_total").increment(1);
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
            if let Err(error) = self.bus.ensure_history(&self.project).await {
                tracing::warn!(project = %self.project, %error, "no stream for room messages");
                continue;
            }
            if self.resend_first().await {
                self.resend_rest().await;
                break;
            }
        }
        if let Some(first) = self.window.pop_front() {
            self.window_bytes = self.window_bytes.saturating_sub(first.body.len());
        }
    }

    /// Sends the oldest message once more, with nothing named before it, and waits for it.
    async fn resend_first(&mut self) -> bool {
        let Some(first) = self.window.front() else {
            return true;
        };
        match self.send(first, None).await {
            Some(confirmation) => confirmation.await.is_ok(),
            None => false,
        }
    }

    async fn resend_rest(&mut self) {
        let mut previous: Option<String> = None;
        for position in 0..self.window.len() {
            let Some(message) = self.window.get(position) else {
                break;
            };
            let id = message.id.clone();
            if position > 0 {
                let connection = self.interruptions.borrow().number;
                let confirmation = self.send(message, previous.as_deref()).await;
                if let Some(message) = self.window.get_mut(position) {
                    (message.confirmation, message.connection) = (confirmation, connection);
                }
            }
            previous = Some(id);
        }
    }

    async fn send(
        &self,
        message: &Unconfirmed,
        previous: Option<&str>,
    ) -> Option<PublishAckFuture> {
        let mut publish = PublishMessage::build()
            .headers(message.headers.clone())
            .payload(message.body.clone())
            .message_id(&message.id);
        if let Some(previous) = previous {
            publish = publish.expected_last_message_id(previous);
        }
        self.bus
            .jetstream()
            .send_publish(message.subject.clone(), publish)
            .await
            .inspect_err(|error| tracing::warn!(%error, "cannot hand a room message to NATS"))
            .ok()
    }
}
