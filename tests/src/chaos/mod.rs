//! The fault matrix of realtime: publishers commit and subscribers listen while one part after the
//! other fails, and then every message is accounted for.
//!
//! [`messages`] are sent and counted: [`publishers`] commit, [`subscribers`] drives the official client, [`fault`] breaks things,
//! [`account`] compares what was committed with what arrived.

mod account;
mod fault;
mod messages;
mod publishers;
mod subscribers;

pub use account::Account;
pub use fault::{Fault, PAUSE};
pub use messages::{Listeners, Load, Messages};

use std::time::Duration;

use anyhow::Context;
use ingot_schema::RealtimeSource;
use sqlx::{Connection, Executor, PgConnection};
use tokio::time::sleep;

use crate::TestCluster;

/// As `make cluster EDGES=2 FANOUT=3 RELAYS=2`.
const CLUSTER: [&str; 8] = [
    "--edges", "2", "--fanout", "3", "--relays", "2", "--api", "1",
];
/// Subscribers that stay while faults come and go.
#[derive(Debug)]
pub struct Chaos {
    messages: Messages,
    cluster: TestCluster,
    calm: Duration,
}

impl Chaos {
    /// Starts a cluster whose relays hear of messages from `source`, and its subscribers.
    ///
    /// # Errors
    /// Something does not start.
    pub async fn start(load: Load, source: RealtimeSource) -> anyhow::Result<Self> {
        let mut cluster = TestCluster::start(&CLUSTER, &[("INGOT_RATE_LIMIT", "1000000")])?;
        if source == RealtimeSource::Wal {
            read_the_log(&mut cluster).await?;
        }
        let edges = cluster.variable("EDGE_URLS").split(',');
        let listeners = Listeners {
            database_url: cluster.variable("DATABASE_URL").to_owned(),
            edges: edges.map(str::to_owned).collect(),
            token: cluster.variable("ANON_KEY").to_owned(),
        };
        Ok(Self {
            messages: Messages::start(&listeners, load).await?,
            cluster,
            calm: load.calm,
        })
    }

    /// One round: messages are committed while `fault` happens, and then counted.
    ///
    /// # Errors
    /// The fault cannot be made, or the accounts cannot be read.
    pub async fn run(&mut self, fault: Fault) -> anyhow::Result<Account> {
        self.messages.begin();
        sleep(self.calm).await;
        fault.happen(&self.cluster).await.context(fault.name())?;
        sleep(self.calm).await;
        self.messages.end(fault.name().to_owned()).await
    }
}

/// Changes the source, as docs/realtime.md says it.
async fn read_the_log(cluster: &mut TestCluster) -> anyhow::Result<()> {
    let mut owner = PgConnection::connect(cluster.variable("DATABASE_URL")).await?;
    owner
        .execute("create role chaos_log login replication password 'chaos_log'")
        .await?;
    owner.close().await?;
    cluster.restart_with(&[
        ("REALTIME_SOURCE", "wal"),
        ("INGOT_REPLICATION_USER", "chaos_log"),
        ("INGOT_REPLICATION_PASSWORD", "chaos_log"),
    ])
}
