//! The active relay's work: what commits goes to the bus, in commit order, without a gap.
//!
//! PostgreSQL delivers notifications in commit order, and within a transaction in insert order, so
//! following them keeps that order. How far we are is a snapshot: a heartbeat takes one and then
//! notifies ourselves; when it comes back, everything that the snapshot sees was heard before, and
//! once that is on the bus the snapshot is saved. Whoever takes over starts with the messages that
//! the saved snapshot does not see. What was published since then goes out twice and is recognised
//! by its id.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use ingot_bus::{
    Bus, Headers, Invalidation, MAX_INLINE_PAYLOAD, RoomMessage, RoomPublisher, SenderType,
};
use ingot_project::{Project, ProjectId};
use ingot_telemetry::HeaderCarrier;
use serde_json::value::RawValue;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;
use uuid::Uuid;

use super::leadership::{Announced, Heard, Leadership, answered, silent};
use super::status::Status;
use super::store::{self, MessageRow};

/// Most messages that are read in one query.
const BATCH: usize = 200;
/// Most ids that one look at the missed messages returns.
const MISSED: i64 = 20_000;
/// Pause between heartbeats while nothing happens.
const IDLE_BEAT: Duration = Duration::from_millis(500);
/// Pause between a delivery and the heartbeat that lets us save how far we are.
const BUSY_BEAT: Duration = Duration::from_millis(250);
/// A heartbeat that takes longer to come back means that nothing else comes either.
const BEAT_TIMEOUT: Duration = Duration::from_secs(2);
/// Pause before another look for messages that the log tells of and nobody sees yet.
const UNSEEN_PAUSE: Duration = Duration::from_millis(2);
/// How often it is looked how much of the log PostgreSQL keeps.
const LOG_LOOK: Duration = Duration::from_secs(5);
/// How long the bus may take at a stop to confirm what is under way.
const LAST_FLUSH: Duration = Duration::from_secs(3);

/// A heartbeat under way.
struct Beat {
    token: String,
    /// What it proves to be delivered when it is back.
    snapshot: String,
    deadline: Instant,
}

pub(super) struct Delivery {
    pub(super) leadership: Leadership,
    /// Told of messages that have webhooks.
    webhooks: Arc<Notify>,
    bus: Bus,
    publisher: RoomPublisher,
    pub(super) project: ProjectId,
    pub(super) status: Arc<Status>,
    /// Everything that this snapshot sees is on the bus.
    pub(super) delivered: String,
    beat: Option<Beat>,
    next_beat: Instant,
    /// When the standbys were last shown that somebody leads.
    shown: Instant,
    /// Something was published since `delivered` was saved.
    unsaved: bool,
    /// The stream on the bus is there.
    prepared: bool,
    /// When it was last looked how much of the log is kept.
    looked: Option<Instant>,
    /// The log, opened a moment ago, may not tell of transactions before this one.
    pub(super) untold_before: Option<u64>,
}

impl Delivery {
    pub(super) fn new(
        leadership: Leadership,
        webhooks: Arc<Notify>,
        bus: Bus,
        project: ProjectId,
        status: Arc<Status>,
    ) -> Self {
        Self {
            leadership,
            webhooks,
            publisher: RoomPublisher::new(bus.clone(), project.clone()),
            bus,
            project,
            status,
            delivered: String::new(),
            beat: None,
            next_beat: Instant::now(),
            shown: Instant::now(),
            unsaved: false,
            prepared: false,
            looked: None,
            untold_before: None,
        }
    }

    /// Catches up, then follows the notifications or the log until the connection fails or
    /// `shutdown`.
    pub(super) async fn run(
        &mut self,
        project: &Arc<Project>,
        shutdown: &CancellationToken,
    ) -> Result<(), sqlx::Error> {
        // Dropping the work at a stop loses nothing: the next relay begins at `delivered`.
        let ended = shutdown
            .run_until_cancelled(Box::pin(async {
                self.open_log(project).await?;
                self.catch_up().await?;
                self.follow().await
            }))
            .await;
        let Some(ended) = ended else {
            if timeout(LAST_FLUSH, self.publisher.flush()).await.is_err() {
                tracing::warn!(project = %self.project, "the bus did not confirm the last messages");
            }
            return Ok(());
        };
        ended
    }

    /// Publishes what was committed since the saved snapshot, at the begin of a term.
    async fn catch_up(&mut self) -> Result<(), sqlx::Error> {
        let count = self.publish_missed().await?;
        if count > 0 {
            tracing::info!(project = %self.project, count, "caught up");
        }
        Ok(())
    }

    /// Publishes what was committed since the saved snapshot, and saves another one. Returns how
    /// many messages that were.
    pub(super) async fn publish_missed(&mut self) -> Result<usize, sqlx::Error> {
        let connection = self.leadership.connection();
        let (from, upto) = answered(store::delivered_and_now(connection)).await?;
        let count = self.publish_between(&from, &upto).await?;
        // The first look saves one in any case: until then, there may be none.
        if count > 0 || self.delivered.is_empty() {
            staying(&mut self.leadership, self.publisher.flush()).await?;
            self.delivered = upto;
            self.save().await?;
        }
        Ok(count)
    }

    /// Publishes what one snapshot sees and an earlier one does not. Returns how many messages
    /// that were.
    pub(super) async fn publish_between(
        &mut self,
        from: &str,
        upto: &str,
    ) -> Result<usize, sqlx::Error> {
        let mut after = 0;
        let mut count = 0;
        loop {
            let missed =
                store::missed(self.leadership.connection(), from, upto, after, MISSED).await?;
            let Some(last) = missed.iter().map(|(_, sequence)| *sequence).max() else {
                return Ok(count);
            };
            after = last;
            count += missed.len();
            let announced: Vec<_> = missed.into_iter().map(|(id, _)| id.into()).collect();
            for batch in announced.chunks(BATCH) {
                self.publish(batch, from).await?;
            }
        }
    }

    async fn follow(&mut self) -> Result<(), sqlx::Error> {
        loop {
            if self.beat.is_none() && Instant::now() >= self.next_beat {
                self.start_beat().await?;
            }
            let deadline = self
                .beat
                .as_ref()
                .map_or(self.next_beat, |beat| beat.deadline);
            // What is there already comes first, above all a heartbeat that is back: after a long
            // delivery the deadline may have passed unseen.
            let heard = tokio::select! {
                biased;
                heard = self.leadership.hear() => heard?,
                () = sleep_until(deadline) => {
                    if self.beat.is_some() {
                        return Err(silent());
                    }
                    continue;
                }
            };
            self.handle(heard).await?;
        }
    }

    /// Publishes a message together with all that are there already, and sees to a heartbeat.
    async fn handle(&mut self, heard: Heard) -> Result<(), sqlx::Error> {
        let mut announced = Vec::new();
        let mut returned = None;
        let mut permissions_changed = false;
        let mut next = Some(Ok(heard));
        while let Some(heard) = next.take() {
            match heard? {
                Heard::Message(message) => announced.push(message),
                Heard::Permissions => permissions_changed = true,
                Heard::Heartbeat(token) => {
                    returned = self.beat.take_if(|beat| beat.token == token);
                }
            }
            if announced.len() < BATCH && returned.is_none() {
                next = self.leadership.hear_now();
            }
        }
        if permissions_changed {
            self.tell_of_permissions().await;
        }
        if !announced.is_empty() {
            let delivered = self.delivered.clone();
            self.publish(&announced, &delivered).await?;
            self.next_beat = self.next_beat.min(Instant::now() + BUSY_BEAT);
        }
        if let Some(beat) = returned {
            self.publish_untold(&beat.snapshot).await?;
            staying(&mut self.leadership, self.publisher.flush()).await?;
            self.delivered = beat.snapshot;
            self.next_beat = Instant::now() + IDLE_BEAT;
            if self.unsaved {
                self.save().await?;
            }
            self.confirm().await?;
        }
        Ok(())
    }

    /// Lets PostgreSQL drop what it keeps of the log for us, and tells how much that is.
    async fn confirm(&mut self) -> Result<(), sqlx::Error> {
        let Some(slot) = self.leadership.confirm() else {
            return Ok(());
        };
        if self.looked.is_none_or(|last| last.elapsed() > LOG_LOOK) {
            let slot = slot.to_owned();
            self.looked = Some(Instant::now());
            let look = store::kept_log(self.leadership.connection(), &slot);
            if let Some((kept, further)) = answered(look).await? {
                self.status.kept_log(kept, further);
            }
        }
        Ok(())
    }

    /// Nodes ask anew who may subscribe. Without the bus they do so a little later by themselves.
    pub(super) async fn tell_of_permissions(&self) {
        let changed = Invalidation::Channels;
        let told = self.bus.publish_invalidation(&self.project, changed);
        if let Ok(Err(error)) = timeout(LAST_FLUSH, told).await {
            tracing::debug!(%error, "nodes are not told of changed channels");
        }
    }

    async fn start_beat(&mut self) -> Result<(), sqlx::Error> {
        let (token, snapshot) = self.leadership.beat().await?;
        self.shown = Instant::now();
        self.beat = Some(Beat {
            token,
            snapshot,
            deadline: Instant::now() + BEAT_TIMEOUT,
        });
        Ok(())
    }

    async fn save(&mut self) -> Result<(), sqlx::Error> {
        let connection = self.leadership.connection();
        answered(store::save_delivered(connection, &self.delivered)).await?;
        self.unsaved = false;
        Ok(())
    }

    /// Shows the standbys now and then that this relay is there: many messages take long, however
    /// quickly each of them leaves. One that took over would begin with the same.
    pub(super) async fn show(&mut self) -> Result<(), sqlx::Error> {
        if self.shown.elapsed() >= IDLE_BEAT {
            self.leadership.beat().await?;
            self.shown = Instant::now();
        }
        Ok(())
    }

    /// Reads messages and puts them on the bus in the order of `announced`.
    async fn publish(
        &mut self,
        announced: &[Announced],
        delivered: &str,
    ) -> Result<(), sqlx::Error> {
        self.status.waiting(announced.len());
        let rows = self.read(announced, delivered).await?;
        if !self.prepared && !rows.is_empty() {
            // Only now, for it reserves space. Without it the first message would fail and be sent
            // again, which is also what heals a bus that is away at the moment.
            self.prepared = self.publisher.prepare().await.is_ok();
        }
        if rows.iter().any(|row| row.has_webhooks) {
            self.webhooks.notify_one();
        }
        for row in rows {
            self.show().await?;
            let (id, age) = (row.id, row.age);
            let span = tracing::info_span!(
                "relay.publish",
                otel.kind = "producer",
                project = %self.project,
                message.id = %id,
            );
            if let Some(traceparent) = &row.traceparent {
                let mut parent = Headers::default();
                parent.set("traceparent", traceparent.clone());
                ingot_telemetry::parent_from(&span, &parent);
            }
            let Some(message) = message(row) else {
                continue;
            };
            let publishing = self.publisher.publish(&message).instrument(span);
            if let Err(error) = staying(&mut self.leadership, publishing).await? {
                // The message itself is at fault; it must not stop the ones behind it.
                tracing::error!(message = %id, %error, "a message cannot be put on the bus");
                continue;
            }
            self.unsaved = true;
            self.status.published(id, age);
        }
        self.status.waiting(0);
        Ok(())
    }

    /// Reads messages. The log tells of a transaction as soon as its end is written there, which is
    /// a moment before others see what it did, and longer where it waits for another server: so
    /// does this.
    async fn read(
        &mut self,
        announced: &[Announced],
        delivered: &str,
    ) -> Result<Vec<MessageRow>, sqlx::Error> {
        let longest = i32::try_from(MAX_INLINE_PAYLOAD).unwrap_or(i32::MAX);
        let ids: Vec<Uuid> = announced.iter().map(|message| message.id).collect();
        let connection = self.leadership.connection();
        let rows = answered(store::messages(connection, &ids, delivered, longest)).await?;
        let transactions: Vec<i64> = announced
            .iter()
            .filter(|message| rows.iter().all(|row| row.id != message.id))
            .filter_map(|message| message.transaction.map(i64::from))
            .collect();
        if transactions.is_empty() {
            return Ok(rows);
        }
        while !answered(store::are_seen(self.leadership.connection(), &transactions)).await? {
            sleep(UNSEEN_PAUSE).await;
            self.show().await?;
        }
        let connection = self.leadership.connection();
        answered(store::messages(connection, &ids, delivered, longest)).await
    }
}

/// Shows the standbys that this relay is there while it waits for the bus; otherwise one of them
/// would take its silence for the end.
async fn staying<T>(
    leadership: &mut Leadership,
    waiting: impl Future<Output = T>,
) -> Result<T, sqlx::Error> {
    let mut waiting = pin!(waiting);
    loop {
        match timeout(IDLE_BEAT, &mut waiting).await {
            Ok(done) => return Ok(done),
            Err(_elapsed) => drop(leadership.beat().await?),
        }
    }
}

fn message(row: MessageRow) -> Option<RoomMessage> {
    let payload = match row.payload.map(RawValue::from_string).transpose() {
        Ok(payload) => payload,
        Err(error) => {
            tracing::error!(message = %row.id, %error, "PostgreSQL wrote JSON that is none");
            return None;
        }
    };
    Some(RoomMessage {
        id: row.id,
        channel: row.channel,
        event: row.event,
        payload,
        sender_type: match row.sender_type.as_str() {
            "user" => SenderType::User,
            _ => SenderType::System,
        },
        sender_id: row.sender_id,
    })
}
