//! A connection on loan, which goes back to the pool only if nothing is under way on it.

use std::ops::{Deref, DerefMut};

use deadpool::managed::{Object, PoolError, TimeoutType};

use super::pool::{Connections, Connector, Session};
use crate::error::RestError;
use crate::wire::WireError;

/// A connection taken from the pool.
///
/// If it is dropped in the middle of a request (the client hung up, time ran out), the statement is
/// cancelled in PostgreSQL and the connection is closed.
pub(super) struct Lease(Object<Connector>);

impl Lease {
    /// Takes a connection; 504 if none is free in time or too many wait already.
    pub(super) async fn take(pool: &Connections, max_waiting: usize) -> Result<Self, RestError> {
        if pool.status().waiting > max_waiting {
            return Err(RestError::pool_timeout());
        }
        match pool.get().await {
            Ok(session) => Ok(Self(session)),
            Err(PoolError::Timeout(TimeoutType::Create)) => Err(RestError::no_connection(
                "the database did not answer in time",
            )),
            Err(PoolError::Timeout(_)) => Err(RestError::pool_timeout()),
            Err(PoolError::Backend(error)) => {
                tracing::warn!(%error, "cannot connect to the database");
                Err(RestError::no_connection(&error.to_string()))
            }
            Err(error) => {
                tracing::warn!(%error, "connection pool failed");
                Err(RestError::pool_timeout())
            }
        }
    }
}

impl Deref for Lease {
    type Target = Session;

    fn deref(&self) -> &Session {
        &self.0
    }
}

impl DerefMut for Lease {
    fn deref_mut(&mut self) -> &mut Session {
        &mut self.0
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if !self.wire.is_idle() {
            // The pool replaces what has hung up.
            self.wire.abandon();
        }
    }
}

/// How often the same work is tried on another connection.
pub(super) struct Tries(u8);

impl Tries {
    pub(super) const fn new() -> Self {
        Self(3)
    }

    /// Work may be done once more: none of it was done, or doing it twice changes nothing.
    pub(super) fn allow(&mut self, error: &WireError, repeatable: bool) -> bool {
        let harmless = match error {
            WireError::Lost { begun, .. } => repeatable || !begun,
            // The transaction failed before the statement ran.
            WireError::Fault(fault) => fault.is_stale_statement(),
            WireError::Refused(_) | WireError::NoMemory(_) => false,
        };
        self.0 = self.0.saturating_sub(1);
        harmless && self.0 > 0
    }
}
