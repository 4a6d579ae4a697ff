//! Memory for large answers: how much of it there is in a process, and who has it.
//!
//! An answer comes from PostgreSQL as one message and stays in memory until the client has taken
//! it. What is large takes its share before it is read from the socket, and gives it back when the
//! last byte of it is dropped. Until there is a share, PostgreSQL is not read from.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Answers up to this size, in bytes, take no share: their number is bounded by the connections.
pub(crate) const SMALL: usize = 64 << 10;

/// What shares are counted in, in bytes.
const UNIT: u64 = 1 << 10;

/// Memory that large answers share. Clones are the same memory: give one to every engine of a
/// process, by [`crate::Engine::sharing`].
#[derive(Debug, Clone)]
pub struct AnswerMemory {
    free: Arc<Semaphore>,
    units: u64,
}

/// Memory, and how long an answer waits for its share of it.
pub(crate) type Allowance = (AnswerMemory, Duration);

/// There was no memory for an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoMemory {
    /// There never will be.
    TooLarge,
    /// Others had it for too long.
    Busy,
}

impl AnswerMemory {
    /// So many bytes, rounded down to KiB.
    pub fn new(bytes: u64) -> Self {
        let units = (bytes / UNIT).min(Semaphore::MAX_PERMITS as u64);
        let permits = usize::try_from(units).unwrap_or(Semaphore::MAX_PERMITS);
        Self {
            free: Arc::new(Semaphore::new(permits)),
            units,
        }
    }

    /// Largest answer that fits, in bytes.
    pub(crate) const fn largest(&self) -> u64 {
        // What comes with a body takes less than a unit, or waits for nobody.
        self.units.saturating_sub(64) * UNIT
    }

    /// Takes a share. Who came first gets it first.
    pub(crate) async fn take(&self, bytes: usize, patience: Duration) -> Result<Share, NoMemory> {
        let units = (bytes as u64).div_ceil(UNIT);
        let units = u32::try_from(units).ok().filter(|_| units <= self.units);
        let units = units.ok_or(NoMemory::TooLarge)?;
        let taking = Arc::clone(&self.free).acquire_many_owned(units);
        match tokio::time::timeout(patience, taking).await {
            Ok(Ok(permit)) => Ok(Share(Arc::new(permit))),
            Ok(Err(_)) | Err(_) => Err(NoMemory::Busy),
        }
    }
}

/// A share of the memory, given back with its last clone.
#[derive(Debug, Clone)]
pub(crate) struct Share(Arc<OwnedSemaphorePermit>);

impl Share {
    /// Bytes that give the share back when nobody has them any more.
    pub(crate) fn hold(self, bytes: Bytes) -> Bytes {
        Bytes::from_owner(Held {
            bytes,
            _permit: self.0,
        })
    }
}

struct Held {
    // Dropped first.
    bytes: Bytes,
    _permit: Arc<OwnedSemaphorePermit>,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_millis(10);

    #[tokio::test]
    async fn shares_come_back_with_the_last_bytes() {
        let memory = AnswerMemory::new(100 << 10);
        let share = memory.take(99 << 10, SOON).await.unwrap();
        let answer = share.hold(Bytes::from_static(b"answer"));
        let part = answer.slice(2..);
        drop(answer);
        assert_eq!(
            memory.take(2 << 10, SOON).await.unwrap_err(),
            NoMemory::Busy
        );
        assert!(memory.take(1 << 10, SOON).await.is_ok());
        let waiting = tokio::spawn({
            let memory = memory.clone();
            async move { memory.take(100 << 10, Duration::from_secs(20)).await }
        });
        tokio::task::yield_now().await;
        assert_eq!(&part[..], b"swer");
        drop(part);
        assert!(waiting.await.unwrap().is_ok());
    }

    #[tokio::test]
    async fn what_never_fits_is_refused_at_once() {
        let memory = AnswerMemory::new(100 << 10);
        let refused = memory.take((100 << 10) + 1, Duration::MAX).await;
        assert_eq!(refused.unwrap_err(), NoMemory::TooLarge);
        assert!(
            AnswerMemory::new(u64::MAX)
                .take(1 << 30, SOON)
                .await
                .is_ok()
        );
        assert_eq!(AnswerMemory::new(0).largest(), 0);
    }
}
