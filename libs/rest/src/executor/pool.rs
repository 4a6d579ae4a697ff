//! The pool of connections.

use std::time::Duration;

use deadpool::Runtime;
use deadpool::managed::{self, Metrics, RecycleError, RecycleResult};
use tokio_postgres::Config;

use super::statements::Statements;
use crate::memory::{Allowance, AnswerMemory};
use crate::settings::EngineSettings;
use crate::wire::tls::Tls;
use crate::wire::{Connection, WireError, connect};

pub(crate) type Connections = managed::Pool<Connector>;

/// Opens connections for the pool.
#[derive(Debug)]
pub(crate) struct Connector {
    config: Config,
    tls: Tls,
    cache_size: usize,
    max_lifetime: Duration,
    memory: Option<Allowance>,
}

/// A connection, and what it has prepared.
pub(crate) struct Session {
    pub(super) wire: Connection,
    pub(super) statements: Statements,
    /// Where large answers find memory.
    pub(super) memory: Option<Allowance>,
}

impl managed::Manager for Connector {
    type Type = Session;
    type Error = WireError;

    async fn create(&self) -> Result<Session, WireError> {
        Ok(Session {
            wire: connect(&self.config, &self.tls).await?,
            statements: Statements::new(self.cache_size),
            memory: self.memory.clone(),
        })
    }

    /// No round trip: what the server said since the last use is there already.
    async fn recycle(&self, session: &mut Session, metrics: &Metrics) -> RecycleResult<WireError> {
        let young = metrics.age() < self.max_lifetime;
        if young && session.wire.is_idle() && session.wire.is_alive() {
            Ok(())
        } else {
            Err(RecycleError::message("connection ended"))
        }
    }
}

/// A pool that opens connections when they are needed.
pub(crate) fn open_pool(
    settings: &EngineSettings,
    config: Config,
    tls: Tls,
    memory: Option<AnswerMemory>,
) -> Result<Connections, managed::BuildError> {
    let connector = Connector {
        config,
        tls,
        cache_size: settings.statement_cache_size,
        max_lifetime: settings.pool_max_lifetime,
        memory: memory.map(|memory| (memory, settings.pool_timeout)),
    };
    Connections::builder(connector)
        .max_size(settings.pool_size.max(1))
        .wait_timeout(Some(settings.pool_timeout))
        .create_timeout(Some(settings.pool_timeout))
        .runtime(Runtime::Tokio1)
        .build()
}

/// Closes connections that nobody used for `limit`.
pub(crate) fn close_idle(pool: &Connections, limit: Duration) {
    pool.retain(|_, metrics| metrics.last_used() < limit);
}
