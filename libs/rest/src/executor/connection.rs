//! Connections to PostgreSQL and the statements each has prepared.

use std::num::NonZeroUsize;
use std::time::Duration;

use deadpool::Runtime;
use deadpool::managed::{self, Metrics, RecycleError, RecycleResult};
use lru::LruCache;
use tokio::task::JoinHandle;
use tokio_postgres::{CancelToken, Client, Config, Error, NoTls, Statement};

use super::tls::Tls;
use crate::settings::EngineSettings;

/// Longest time that opening a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

pub(crate) type Connections = managed::Pool<Connector>;

/// Opens connections for the pool.
#[derive(Debug)]
pub(crate) struct Connector {
    config: Config,
    tls: Tls,
    cache_size: usize,
}

impl Connector {
    pub(super) fn new(mut config: Config, tls: Tls, cache_size: usize) -> Self {
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT_TIMEOUT);
        }
        Self {
            config,
            tls,
            cache_size,
        }
    }
}

/// A connection, and what it has prepared.
pub(crate) struct Connection {
    pub(crate) client: Client,
    tls: Tls,
    driver: JoinHandle<()>,
    statements: Option<LruCache<String, Remembered>>,
    /// Version of the schema cache that the statements were planned with.
    schema_version: u64,
}

/// A statement is prepared when it comes for the second time: shapes that come once cost one round
/// trip and leave nothing behind.
enum Remembered {
    Seen,
    Prepared(Statement),
}

/// How a statement is to be sent.
pub(super) enum Preparation {
    Ready(Statement),
    Prepare,
    Unnamed,
}

impl Connection {
    /// Forgets statements of older schemas: their parameter types may have changed.
    pub(super) fn follow_schema(&mut self, version: u64) {
        if self.schema_version != version {
            self.schema_version = version;
            if let Some(statements) = &mut self.statements {
                statements.clear();
            }
        }
    }

    pub(super) fn preparation(&mut self, key: &str) -> Preparation {
        let Some(statements) = &mut self.statements else {
            return Preparation::Unnamed;
        };
        match statements.get(key) {
            Some(Remembered::Prepared(statement)) => Preparation::Ready(statement.clone()),
            Some(Remembered::Seen) => Preparation::Prepare,
            None => {
                statements.put(key.to_owned(), Remembered::Seen);
                Preparation::Unnamed
            }
        }
    }

    pub(super) fn remember(&mut self, key: &str, statement: Statement) {
        if let Some(statements) = &mut self.statements {
            statements.put(key.to_owned(), Remembered::Prepared(statement));
        }
    }

    pub(super) fn canceller(&self) -> Canceller {
        Canceller {
            token: self.client.cancel_token(),
            tls: self.tls.clone(),
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// Stops what a connection is running.
pub(super) struct Canceller {
    token: CancelToken,
    tls: Tls,
}

impl Canceller {
    pub(super) async fn cancel(self) {
        let cancelled = async {
            match self.tls.connector() {
                Some(tls) => self.token.cancel_query(tls).await,
                None => self.token.cancel_query(NoTls).await,
            }
        };
        match tokio::time::timeout(CONNECT_TIMEOUT, cancelled).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "could not cancel a statement"),
            Err(_) => tracing::warn!("could not cancel a statement in time"),
        }
    }
}

impl managed::Manager for Connector {
    type Type = Connection;
    type Error = Error;

    async fn create(&self) -> Result<Connection, Error> {
        let (client, driver) = if let Some(tls) = self.tls.connector() {
            let (client, connection) = self.config.connect(tls).await?;
            (client, tokio::spawn(drive(connection)))
        } else {
            let (client, connection) = self.config.connect(NoTls).await?;
            (client, tokio::spawn(drive(connection)))
        };
        Ok(Connection {
            client,
            tls: self.tls.clone(),
            driver,
            statements: NonZeroUsize::new(self.cache_size).map(LruCache::new),
            schema_version: 0,
        })
    }

    /// No round trip: a connection that broke silently shows at its first use.
    async fn recycle(&self, connection: &mut Connection, _: &Metrics) -> RecycleResult<Error> {
        if connection.client.is_closed() {
            return Err(RecycleError::message("connection closed"));
        }
        Ok(())
    }
}

async fn drive<S, T>(connection: tokio_postgres::Connection<S, T>)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
    T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    if let Err(error) = connection.await {
        tracing::debug!(%error, "database connection ended");
    }
}

/// A pool that opens connections when they are needed.
pub(crate) fn open_pool(
    settings: &EngineSettings,
    config: Config,
    tls: Tls,
) -> Result<Connections, managed::BuildError> {
    let connector = Connector::new(config, tls, settings.statement_cache_size);
    Connections::builder(connector)
        .max_size(settings.pool_size.max(1))
        .wait_timeout(Some(settings.pool_timeout))
        .create_timeout(Some(settings.pool_timeout))
        .runtime(Runtime::Tokio1)
        .build()
}
