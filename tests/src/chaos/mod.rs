//! The fault matrix of realtime: publishers commit and subscribers listen while one part after the
//! other fails, and then every message is accounted for.
//!
//! [`publishers`] commit, [`subscribers`] drives the official client, [`fault`] breaks things,
//! [`account`] compares what was committed with what arrived.

mod account;
mod fault;
mod publishers;
mod subscribers;

pub use account::Account;
pub use fault::Fault;

use std::time::Duration;

use anyhow::Context;
use sqlx::{Connection, PgConnection};
use tokio::time::{Instant, sleep};

use crate::TestCluster;
use publishers::Publishers;
use subscribers::Subscribers;

/// As `make cluster EDGES=2 FANOUT=3 RELAYS=2`.
const CLUSTER: [&str; 8] = [
    "--edges", "2", "--fanout", "3", "--relays", "2", "--api", "1",
];
/// Without a new message for so long, no further one is expected.
const QUIET: Duration = Duration::from_secs(15);

/// How much goes on.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    /// Subscribers, spread over edges and nodes.
    pub subscribers: usize,
    /// Channels; each subscriber listens to two.
    pub channels: usize,
    /// How long publishers commit before a fault, and once more after it is over.
    pub calm: Duration,
}

/// Subscribers that stay while faults come and go.
#[derive(Debug)]
pub struct Chaos {
    cluster: TestCluster,
    subscribers: Subscribers,
    load: Load,
    round: u32,
}

impl Chaos {
    /// Starts a cluster and its subscribers.
    ///
    /// # Errors
    /// Something does not start.
    pub async fn start(load: Load) -> anyhow::Result<Self> {
        let cluster = TestCluster::start(&CLUSTER, &[("INGOT_RATE_LIMIT", "1000000")])?;
        let url = cluster.variable("DATABASE_URL").to_owned();
        let mut connection = PgConnection::connect(&url).await?;
        sqlx::query("insert into realtime.channels (pattern) values ('chaos:%')")
            .execute(&mut connection)
            .await?;
        connection.close().await?;
        let subscribers = Subscribers::start(&cluster, load).await?;
        let mut chaos = Self {
            cluster,
            subscribers,
            load,
            round: 0,
        };
        // From here on every subscriber has a message to name when it comes back.
        let publishers = chaos.publish();
        publishers.greet(chaos.load.channels).await?;
        publishers.stop().await?;
        chaos.settle().await.context("the first messages")?;
        chaos.subscribers.collect().await?;
        Ok(chaos)
    }

    /// One round: messages are committed while `fault` happens, and then counted.
    ///
    /// # Errors
    /// The fault cannot be made, or the accounts cannot be read.
    pub async fn run(&mut self, fault: Fault) -> anyhow::Result<Account> {
        self.round += 1;
        let publishers = self.publish();
        publishers.begin(self.load.channels);
        sleep(self.load.calm).await;
        fault.happen(&self.cluster).await.context(fault.name())?;
        sleep(self.load.calm).await;
        publishers.stop().await?;
        self.settle().await?;
        let committed = account::committed(&self.cluster, self.round).await?;
        let noted = self.subscribers.collect().await?;
        Ok(Account::of(fault, &committed, &noted))
    }

    fn publish(&self) -> Publishers {
        Publishers::new(self.cluster.variable("DATABASE_URL"), self.round)
    }

    /// Waits until everything has arrived, or nothing does any more.
    async fn settle(&mut self) -> anyhow::Result<()> {
        let committed = account::committed(&self.cluster, self.round).await?;
        let expected = self.subscribers.expected(&committed);
        let (mut last, mut since) = (0, Instant::now());
        loop {
            let count = self.subscribers.count().await?;
            if count >= expected || (count == last && since.elapsed() > QUIET) {
                break;
            }
            if count != last {
                (last, since) = (count, Instant::now());
            }
            sleep(Duration::from_millis(100)).await;
        }
        // A double would come now.
        sleep(Duration::from_secs(1)).await;
        Ok(())
    }
}
