//! Messages of rounds: committed by publishers, noted by subscribers, accounted for.

use std::time::Duration;

use anyhow::Context;
use sqlx::{Connection, PgConnection};
use tokio::time::{Instant, sleep};

use super::account::{self, Account};
use super::publishers::Publishers;
use super::subscribers::Subscribers;

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

/// Where subscribers listen.
#[derive(Debug, Clone)]
pub struct Listeners {
    /// The superuser's URL of the project's database.
    pub database_url: String,
    /// URLs of the edges.
    pub edges: Vec<String>,
    /// What sockets show.
    pub token: String,
}

/// Subscribers that stay, and publishers that come with each round.
#[derive(Debug)]
pub struct Messages {
    subscribers: Subscribers,
    publishers: Option<Publishers>,
    database_url: String,
    load: Load,
    round: u32,
}

impl Messages {
    /// Starts the subscribers.
    ///
    /// # Errors
    /// They do not come to listen.
    pub async fn start(listeners: &Listeners, load: Load) -> anyhow::Result<Self> {
        let mut connection = PgConnection::connect(&listeners.database_url).await?;
        sqlx::query("insert into realtime.channels (pattern) values ('chaos:%')")
            .execute(&mut connection)
            .await?;
        connection.close().await?;
        let mut messages = Self {
            subscribers: Subscribers::start(listeners, load).await?,
            publishers: None,
            database_url: listeners.database_url.clone(),
            load,
            round: 0,
        };
        // From here on every subscriber has a message to name when it comes back.
        let publishers = Publishers::new(&messages.database_url, 0);
        publishers.greet(load.channels).await?;
        publishers.stop().await?;
        messages.settle().await.context("the first messages")?;
        messages.subscribers.collect().await?;
        Ok(messages)
    }

    /// Begins a round: publishers commit until its end.
    pub fn begin(&mut self) {
        self.round += 1;
        let publishers = Publishers::new(&self.database_url, self.round);
        publishers.begin(self.load.channels);
        self.publishers = Some(publishers);
    }

    /// Ends the round and accounts for every message of it.
    ///
    /// # Errors
    /// The accounts cannot be read.
    pub async fn end(&mut self, name: String) -> anyhow::Result<Account> {
        if let Some(publishers) = self.publishers.take() {
            publishers.stop().await?;
        }
        self.settle().await?;
        let committed = account::committed(&self.database_url, self.round).await?;
        let away = self.subscribers.away().await?;
        let noted = self.subscribers.collect().await?;
        Ok(Account::of(name, &committed, &noted, away))
    }

    /// Waits until everything has arrived, or nothing does any more.
    async fn settle(&mut self) -> anyhow::Result<()> {
        let committed = account::committed(&self.database_url, self.round).await?;
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
