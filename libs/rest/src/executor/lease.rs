//! A connection on loan, which goes back to the pool only if nothing is under way on it.

use deadpool::managed::{Object, PoolError, TimeoutType};

use super::connection::{Connection, Connections, Connector};
use crate::error::RestError;

/// A connection taken from the pool.
///
/// If it is dropped in the middle of a request (the client hung up, time ran out), the statement is
/// cancelled in PostgreSQL and the connection is closed.
pub(crate) struct Lease {
    connection: Option<Object<Connector>>,
    idle: bool,
}

impl Lease {
    /// Takes a connection; 504 if none is free in time or too many wait already.
    pub(crate) async fn take(pool: &Connections, max_waiting: usize) -> Result<Self, RestError> {
        if pool.status().waiting > max_waiting {
            return Err(RestError::pool_timeout());
        }
        match pool.get().await {
            Ok(connection) => Ok(Self {
                connection: Some(connection),
                idle: true,
            }),
            Err(PoolError::Timeout(TimeoutType::Create)) => Err(RestError::no_connection(
                "the database did not answer in time",
            )),
            Err(PoolError::Timeout(_)) => Err(RestError::pool_timeout()),
            Err(PoolError::Backend(error)) => {
                tracing::warn!(%error, "cannot connect to the database");
                let refused = error.as_db_error().map(|fault| fault.message().to_owned());
                Err(RestError::no_connection(
                    refused
                        .as_deref()
                        .unwrap_or("the database cannot be reached"),
                ))
            }
            Err(error) => {
                tracing::warn!(%error, "connection pool failed");
                Err(RestError::pool_timeout())
            }
        }
    }

    /// The connection, for work that must not be interrupted unnoticed: [`Lease::rest`] ends it.
    pub(crate) fn work(&mut self) -> Result<&mut Connection, RestError> {
        self.idle = false;
        let connection = self.connection.as_deref_mut();
        connection.ok_or_else(RestError::connection_lost)
    }

    /// All that was sent has been answered.
    pub(crate) fn rest(&mut self) {
        self.idle = true;
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if self.idle {
            return;
        }
        let Some(connection) = self.connection.take() else {
            return;
        };
        let connection = Object::take(connection);
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let canceller = connection.canceller();
            runtime.spawn(async move {
                canceller.cancel().await;
                drop(connection);
            });
        }
    }
}
