//! What happens to the connection, told to those who must not miss a message.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use time::OffsetDateTime;
use tokio::sync::watch;

use crate::connection::Interruption;

/// How long before its end a connection may have brought nothing any more: a peer that vanished is
/// noticed by pings that stay unanswered, and this process may itself have been paused.
const UNNOTICED: Duration = Duration::from_mins(1);
/// Dropped messages are told at most so often; the last time after the last of them.
const DROPS_PAUSE: Duration = Duration::from_millis(250);

/// Turns events of the connection into interruptions.
#[derive(Debug)]
pub(crate) struct Observer {
    interruptions: Arc<watch::Sender<Interruption>>,
    drops_wait: Arc<AtomicBool>,
}

impl Observer {
    pub(crate) fn new() -> (Self, watch::Receiver<Interruption>) {
        let (sender, receiver) = watch::channel(Interruption {
            number: 0,
            since: OffsetDateTime::now_utc(),
        });
        let observer = Self {
            interruptions: Arc::new(sender),
            drops_wait: Arc::default(),
        };
        (observer, receiver)
    }

    pub(crate) fn observe(&self, event: &async_nats::Event) {
        match event {
            async_nats::Event::Connected => {
                tracing::info!("connected to NATS");
                metrics::gauge!("bus_connected").set(1);
                self.interruptions.send_modify(|last| last.number += 1);
            }
            async_nats::Event::Disconnected => {
                tracing::warn!("disconnected from NATS");
                metrics::gauge!("bus_connected").set(0);
                // Told with the next connection: before it, nothing can be done.
                self.interruptions.send_if_modified(|last| {
                    last.since = OffsetDateTime::now_utc() - UNNOTICED;
                    false
                });
            }
            async_nats::Event::SlowConsumer(subscription) => {
                metrics::counter!("bus_messages_dropped_total").increment(1);
                tracing::debug!(subscription, "a subscription of the bus is full");
                self.tell_drops();
            }
            other => tracing::warn!(event = %other, "NATS connection"),
        }
    }

    /// What was dropped may have been the last message for a long time: nothing that follows would
    /// show that it is missing.
    fn tell_drops(&self) {
        if self.drops_wait.swap(true, Ordering::AcqRel) {
            return;
        }
        let (interruptions, wait) = (self.interruptions.clone(), Arc::clone(&self.drops_wait));
        tokio::spawn(async move {
            tokio::time::sleep(DROPS_PAUSE).await;
            wait.store(false, Ordering::Release);
            interruptions.send_modify(|last| {
                last.number += 1;
                last.since = OffsetDateTime::now_utc() - UNNOTICED;
            });
        });
    }
}
