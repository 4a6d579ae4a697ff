//! Stopping what a connection is running, by a message on another connection.

use std::io;
use std::time::Duration;

use bytes::BytesMut;
use postgres_protocol::message::frontend;
use tokio::io::AsyncWriteExt;
use tokio_postgres::Config;

use super::socket::Address;
use super::tls::Security;

/// Longest time that a cancellation may take.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(5);

/// What the server wants to see before it cancels.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct CancelKey {
    pub(super) process: i32,
    pub(super) secret: i32,
}

/// Stops what one connection is running.
#[derive(Debug, Clone)]
pub(crate) struct Canceller {
    config: Config,
    address: Address,
    security: Security,
    key: CancelKey,
}

impl Canceller {
    pub(super) fn new(
        config: Config,
        address: Address,
        security: Security,
        key: CancelKey,
    ) -> Self {
        Self {
            config,
            address,
            security,
            key,
        }
    }

    /// Asks the server to stop. Failures are logged: there is nobody to tell.
    pub(crate) async fn cancel(self) {
        match tokio::time::timeout(CANCEL_TIMEOUT, self.ask()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "could not cancel a statement"),
            Err(_) => tracing::warn!("could not cancel a statement in time"),
        }
    }

    async fn ask(&self) -> io::Result<()> {
        let stream = self.address.dial(&self.config).await?;
        let mut stream = self.security.apply(stream).await?.stream;
        let mut request = BytesMut::new();
        frontend::cancel_request(self.key.process, self.key.secret, &mut request);
        stream.write_all(&request).await?;
        stream.flush().await?;
        stream.shutdown().await
    }
}
