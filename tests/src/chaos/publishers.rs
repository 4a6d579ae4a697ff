//! Three publishers: single messages, pairs of overlapping transactions, and now and then a burst.

use std::time::Duration;

use sqlx::{Connection, Executor, PgConnection};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;

const PUBLISHERS: u32 = 3;
/// Messages of one transaction, now and then.
const BURST: u32 = 500;
/// One step of a publisher; about three messages.
const STEP: Duration = Duration::from_millis(45);
/// A step of this number is a burst.
const BURST_EVERY: u32 = 80;
/// A step of this number is a pair of overlapping transactions.
const OVERLAP_EVERY: u32 = 4;

/// Publishers of one round.
#[derive(Debug)]
pub(super) struct Publishers {
    url: String,
    round: u32,
    stop: CancellationToken,
    tasks: std::sync::Mutex<JoinSet<()>>,
}

impl Publishers {
    pub(super) fn new(url: &str, round: u32) -> Self {
        Self {
            url: url.to_owned(),
            round,
            stop: CancellationToken::new(),
            tasks: std::sync::Mutex::default(),
        }
    }

    /// One message in each channel.
    pub(super) async fn greet(&self, channels: usize) -> anyhow::Result<()> {
        let mut connection = PgConnection::connect(&self.url).await?;
        for channel in 0..channels {
            publish(&mut connection, self.round, channel, 0, 0, 1).await?;
        }
        Ok(connection.close().await?)
    }

    /// Publishes in the background until [`Publishers::stop`].
    pub(super) fn begin(&self, channels: usize) {
        let mut tasks = self
            .tasks
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        for number in 1..=PUBLISHERS {
            let publisher = Publisher {
                url: self.url.clone(),
                round: self.round,
                number,
                channels,
                count: 0,
                step: number * BURST_EVERY / PUBLISHERS,
            };
            tasks.spawn(publisher.run(self.stop.clone()));
        }
    }

    /// Lets every publisher end what it is at.
    pub(super) async fn stop(self) -> anyhow::Result<()> {
        self.stop.cancel();
        let mut tasks = self
            .tasks
            .into_inner()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        while let Some(ended) = tasks.join_next().await {
            ended?;
        }
        Ok(())
    }
}

struct Publisher {
    url: String,
    round: u32,
    number: u32,
    channels: usize,
    /// Messages that it tried to commit.
    count: u32,
    step: u32,
}

impl Publisher {
    /// What a lost connection leaves undone is not published again: the table tells in the end
    /// what was committed.
    async fn run(mut self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            if self.work(&stop).await.is_err() {
                sleep(Duration::from_millis(100)).await;
            }
        }
    }

    async fn work(&mut self, stop: &CancellationToken) -> Result<(), sqlx::Error> {
        let mut one = PgConnection::connect(&self.url).await?;
        let mut other = PgConnection::connect(&self.url).await?;
        let mut steps = interval(STEP);
        steps.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !stop.is_cancelled() {
            steps.tick().await;
            self.step += 1;
            if self.step.is_multiple_of(BURST_EVERY) {
                self.publish(&mut one, BURST).await?;
            } else if self.step.is_multiple_of(OVERLAP_EVERY) {
                self.overlap(&mut one, &mut other).await?;
            } else {
                for _ in 0..3 {
                    self.publish(&mut one, 1).await?;
                }
            }
        }
        one.close().await?;
        other.close().await
    }

    /// The transaction that begins first commits last.
    async fn overlap(
        &mut self,
        one: &mut PgConnection,
        other: &mut PgConnection,
    ) -> Result<(), sqlx::Error> {
        let channel = self.channel();
        let mut early = one.begin().await?;
        self.publish_in(&mut early, channel, 1).await?;
        let mut late = other.begin().await?;
        self.publish_in(&mut late, channel, 1).await?;
        self.publish_in(&mut early, channel, 1).await?;
        late.commit().await?;
        early.commit().await
    }

    async fn publish(
        &mut self,
        connection: &mut PgConnection,
        messages: u32,
    ) -> Result<(), sqlx::Error> {
        let channel = self.channel();
        self.publish_in(connection, channel, messages).await
    }

    async fn publish_in(
        &mut self,
        connection: &mut PgConnection,
        channel: usize,
        messages: u32,
    ) -> Result<(), sqlx::Error> {
        let first = self.count + 1;
        self.count += messages;
        publish(
            connection,
            self.round,
            channel,
            self.number,
            first,
            messages,
        )
        .await
    }

    /// All channels in turn, another one first for each publisher.
    fn channel(&self) -> usize {
        (self.count + self.number * 5) as usize % self.channels
    }
}

/// Messages `first`, `first + 1`, … of a publisher.
async fn publish(
    connection: &mut PgConnection,
    round: u32,
    channel: usize,
    publisher: u32,
    first: u32,
    messages: u32,
) -> Result<(), sqlx::Error> {
    let query = sqlx::query(
        "select realtime.publish(
            'chaos:' || $1,
            'm',
            jsonb_build_object('r', $2::int8, 'p', $3::int8, 'n', n)
        ) from generate_series($4::int8, $5::int8) as n",
    )
    .bind(channel.to_string())
    .bind(i64::from(round))
    .bind(i64::from(publisher))
    .bind(i64::from(first))
    .bind(i64::from(first + messages) - 1);
    connection.execute(query).await?;
    Ok(())
}
