//! Counts what is in flight, so that a shutdown waits for the last answer and no longer.
//!
//! Requests are waited for. Streams (WebSocket, server-sent events) end only when somebody ends
//! them, so the drain cuts them once the last request is answered; their clients reconnect to
//! another replica.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Notify;

/// Everything in flight in this process.
#[derive(Debug, Default)]
pub(crate) struct Flights {
    requests: AtomicUsize,
    streams: AtomicUsize,
    draining: AtomicBool,
    landed: Notify,
}

/// One request in flight; dropping it counts it off.
#[derive(Debug)]
pub(crate) struct Flight {
    flights: Arc<Flights>,
    is_stream: bool,
}

impl Flights {
    /// Counts a request from now until the guard is dropped.
    pub(crate) fn take_off(self: &Arc<Self>) -> Flight {
        self.requests.fetch_add(1, Ordering::Relaxed);
        Flight {
            flights: Arc::clone(self),
            is_stream: false,
        }
    }

    /// Requests that wait for the end of their answer.
    pub(crate) fn requests(&self) -> usize {
        self.requests.load(Ordering::Acquire)
    }

    /// Open streams.
    pub(crate) fn streams(&self) -> usize {
        self.streams.load(Ordering::Acquire)
    }

    /// From now on answers tell their clients to close the connection.
    pub(crate) fn start_draining(&self) {
        self.draining.store(true, Ordering::Release);
    }

    /// Whether the process is on its way out.
    pub(crate) fn draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// Waits until no request is in flight, at most for `limit`. Returns whether none is.
    pub(crate) async fn all_landed(&self, limit: Duration) -> bool {
        let landed = async {
            loop {
                let changed = self.landed.notified();
                if self.requests() == 0 {
                    return;
                }
                changed.await;
            }
        };
        tokio::time::timeout(limit, landed).await.is_ok()
    }
}

impl Flight {
    /// The answer turned out to be a stream without an end of its own.
    pub(crate) fn becomes_stream(&mut self) {
        if !self.is_stream {
            self.is_stream = true;
            self.flights.streams.fetch_add(1, Ordering::AcqRel);
            self.flights.leave(&self.flights.requests);
        }
    }
}

impl Flights {
    fn leave(&self, counter: &AtomicUsize) {
        counter.fetch_sub(1, Ordering::AcqRel);
        if self.draining() {
            self.landed.notify_waiters();
        }
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        let counter = if self.is_stream {
            &self.flights.streams
        } else {
            &self.flights.requests
        };
        self.flights.leave(counter);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn streams_do_not_hold_the_drain() {
        let flights = Arc::new(Flights::default());
        let mut socket = flights.take_off();
        let request = flights.take_off();
        socket.becomes_stream();
        socket.becomes_stream();
        assert_eq!((flights.requests(), flights.streams()), (1, 1));
        flights.start_draining();
        assert!(!flights.all_landed(Duration::from_millis(20)).await);
        let waiting = tokio::spawn({
            let flights = Arc::clone(&flights);
            async move { flights.all_landed(Duration::from_secs(5)).await }
        });
        drop(request);
        assert!(waiting.await.unwrap());
        drop(socket);
        assert_eq!((flights.requests(), flights.streams()), (0, 0));
    }
}
