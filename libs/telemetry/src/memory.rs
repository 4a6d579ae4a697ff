//! Refusing work before memory runs out: a request that is told to come back is better off than
//! all those that end when the kernel kills the process.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::{memory_in_use, memory_limit};

/// From this share of the limit on, new requests are refused, in percent.
const FULL: u64 = 90;
/// They are let in again below this share: a little lower, so as not to waver.
const ROOM: u64 = 85;
/// Time between two looks.
const INTERVAL: Duration = Duration::from_millis(250);

/// What the process may use and whether it does.
#[derive(Debug)]
pub struct MemoryBudget {
    /// Bytes; `None` is no limit.
    limit: Option<u64>,
    exhausted: AtomicBool,
}

impl MemoryBudget {
    /// Of the setting, in bytes, else of the process's container.
    pub fn new(setting: Option<u64>) -> Self {
        Self {
            limit: setting.or_else(memory_limit),
            exhausted: AtomicBool::new(false),
        }
    }

    /// Whether new work has to wait.
    pub fn is_exhausted(&self) -> bool {
        self.exhausted.load(Ordering::Relaxed)
    }

    /// Looks again and again until `stop`.
    pub async fn watch(&self, stop: CancellationToken) {
        let Some(limit) = self.limit.filter(|limit| *limit > 0) else {
            return;
        };
        loop {
            self.look(limit);
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(INTERVAL) => {}
            }
        }
    }

    fn look(&self, limit: u64) {
        let Some(used) = memory_in_use() else {
            return;
        };
        let was = self.is_exhausted();
        let is = exceeds(used, limit, was);
        if is != was {
            self.exhausted.store(is, Ordering::Relaxed);
            if is {
                tracing::warn!(used, limit, "memory is short: new requests are refused");
            } else {
                tracing::info!(used, limit, "there is memory again");
            }
        }
    }
}

fn exceeds(used: u64, limit: u64, was: bool) -> bool {
    let share = if was { ROOM } else { FULL };
    used > limit / 100 * share
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_from_nine_tenths_on_and_does_not_waver() {
        let limit = 1000;
        assert!(!exceeds(900, limit, false));
        assert!(exceeds(901, limit, false));
        assert!(exceeds(851, limit, true));
        assert!(!exceeds(850, limit, true));
    }
}
