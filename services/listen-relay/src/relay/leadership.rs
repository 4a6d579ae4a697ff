//! The connection that listens and, by a session lock on it, says which relay is the active one.
//!
//! Lock and LISTEN share one connection on purpose: whoever lost the connection lost the lock, and
//! nobody can believe to be active while hearing nothing.
//!
//! A connection can also fall silent and stay open at the server's end, lock and all. So standbys
//! listen to the active relay's heartbeats; when these stay away, the next term begins with a lock
//! of its own. Whoever held the term before sees that with his next heartbeat, should he wake up,
//! and steps down. What both may publish meanwhile is the same, and recognised by its id.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use ingot_project::{LoginRole, Project};
use sqlx::postgres::{PgListener, PgPoolOptions};
use tokio::time::{Instant, timeout};
use uuid::Uuid;

use super::log::{LogReader, LogStream};
use super::status::{Role, Status};
use super::store;

/// How often a standby asks for the lock.
const POLL: Duration = Duration::from_millis(200);
/// A standby that hears no heartbeat for so long begins a new term. The active relay sends two
/// in a second at least.
const SILENCE: Duration = Duration::from_millis(2200);
/// And it must have asked and listened so often meanwhile: one that gets no CPU hears nothing
/// either, and the silence is its own.
const SILENT_ROUNDS: u32 = 8;
/// Longest wait for an answer of the database; longer means that the peer is gone.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest wait for the sending of a heartbeat, which costs the database nothing.
const BEAT_TIMEOUT: Duration = Duration::from_secs(2);
/// Channel on which `realtime.messages` announces the id of each new row.
const MESSAGES: &str = "realtime_message";
/// Channel of the relay's own heartbeat.
const HEARTBEAT: &str = "realtime_relay";

/// Channels on which changes of `realtime.channels` and of its policies are told.
const CHANNELS: &str = "realtime_channels";
const SCHEMA: &str = "pgrst";

/// A message that is to be read and published.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Announced {
    pub(super) id: Uuid,
    /// The lower half of its transaction's number, where the log told of it: others may not see it
    /// yet.
    pub(super) transaction: Option<u32>,
}

impl From<Uuid> for Announced {
    /// A message that others see.
    fn from(id: Uuid) -> Self {
        Self {
            id,
            transaction: None,
        }
    }
}

/// What the listening connection heard.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// A row was committed.
    Message(Announced),
    /// Who may subscribe to what may be different now.
    Permissions,
    /// A heartbeat came back: everything committed before it was heard.
    Heartbeat(String),
}

/// The lock of the active relay, and its connection.
pub(super) struct Leadership {
    listener: PgListener,
    /// Number of the term; whoever leads later has a higher one.
    term: i32,
    /// Who reads the log, where messages are heard of there.
    reader: Option<LogReader>,
    /// The log, once it is open.
    log: Option<LogStream>,
}

impl Leadership {
    /// Connects, and returns as soon as this process is the active relay of the project.
    pub(super) async fn await_turn(
        project: &Project,
        reader: Option<LogReader>,
        status: &Status,
    ) -> Result<Self, sqlx::Error> {
        // A dead peer must be noticed by the server too, for only then is the lock free.
        let options = project
            .connect_options(LoginRole::Service)
            .application_name(store::FOLLOWING)
            .options([
                ("tcp_keepalives_idle", "5"),
                ("tcp_keepalives_interval", "2"),
                ("tcp_keepalives_count", "3"),
            ]);
        let pool = PgPoolOptions::new()
            .max_connections(1)
            .acquire_timeout(ANSWER_TIMEOUT)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_lazy_with(options);
        let mut listener = PgListener::connect_with(&pool).await?;
        // A new connection would not have the lock.
        listener.eager_reconnect(false);
        status.become_role(Role::Standby);
        answered(listener.listen(HEARTBEAT)).await?;
        let term = Self::stand_by(&mut listener).await?;
        answered(listener.listen_all([CHANNELS, SCHEMA])).await?;
        if reader.is_none() {
            answered(listener.listen(MESSAGES)).await?;
        }
        Ok(Self {
            listener,
            term,
            reader,
            log: None,
        })
    }

    /// Opens the log, where messages are heard of there. It is followed after
    /// [`Leadership::follow_log`].
    pub(super) fn opening_log(
        &self,
        project: &Arc<Project>,
    ) -> Option<impl Future<Output = Result<LogStream, sqlx::Error>> + use<>> {
        let (project, reader) = (Arc::clone(project), self.reader.clone()?);
        Some(async move { LogStream::open(&project, &reader).await })
    }

    pub(super) fn follow_log(&mut self, log: LogStream) {
        self.log = Some(log);
    }

    /// Everything before the last heartbeat is on the bus. Returns the name of the log's slot.
    pub(super) fn confirm(&self) -> Option<&str> {
        let log = self.log.as_ref()?;
        log.confirm();
        Some(log.slot())
    }

    /// Waits until nobody leads, or whoever does has fallen silent. Returns the new term.
    async fn stand_by(listener: &mut PgListener) -> Result<i32, sqlx::Error> {
        let (mut heard, mut rounds) = (Instant::now(), 0);
        loop {
            let silent = heard.elapsed() > SILENCE && rounds >= SILENT_ROUNDS;
            if let Some(term) = answered(store::begin_term(listener, silent)).await? {
                if silent {
                    tracing::warn!(
                        term,
                        "the active relay has fallen silent, a new term begins"
                    );
                }
                return Ok(term);
            }
            match timeout(POLL, listener.try_recv()).await {
                Ok(notification) => {
                    notification?.ok_or_else(lost)?;
                    (heard, rounds) = (Instant::now(), 0);
                }
                Err(_elapsed) => rounds += 1,
            }
        }
    }

    /// The connection, for queries; what it hears meanwhile is kept.
    pub(super) fn connection(&mut self) -> &mut PgListener {
        &mut self.listener
    }

    /// Waits for the next notification. Nothing is lost when the future is dropped.
    pub(super) async fn hear(&mut self) -> Result<Heard, sqlx::Error> {
        loop {
            let notification = match &mut self.log {
                None => self.listener.try_recv().await?,
                Some(log) => tokio::select! {
                    heard = log.hear() => return heard,
                    notification = self.listener.try_recv() => notification?,
                },
            };
            // `None` says that the connection was lost.
            let notification = notification.ok_or_else(lost)?;
            match understand(notification.channel(), notification.payload()) {
                // The standbys' heartbeat: it says nothing about the log.
                Some(Heard::Heartbeat(_)) if self.reader.is_some() => {}
                Some(heard) => return Ok(heard),
                None => {}
            }
        }
    }

    /// The next notification, if it is there already.
    pub(super) fn hear_now(&mut self) -> Option<Result<Heard, sqlx::Error>> {
        self.hear().now_or_never()
    }

    /// Sends a heartbeat that comes back as [`Heard::Heartbeat`]. Returns its token and what was
    /// committed before it.
    ///
    /// # Errors
    /// The database stays silent, somebody else leads by now, or messages are not announced where
    /// this relay listens.
    pub(super) async fn beat(&mut self) -> Result<(String, String), sqlx::Error> {
        // Random, so that nobody else can send it first.
        let token = Uuid::new_v4().to_string();
        let logged = self.reader.is_some();
        let beat = store::beat(&mut self.listener, HEARTBEAT, &token, self.term, logged);
        let beat = timeout(BEAT_TIMEOUT, beat)
            .await
            .unwrap_or_else(|_| Err(silent()))?;
        if !beat.is_current {
            return Err(replaced());
        }
        if !beat.is_announced && !logged {
            return Err(unannounced());
        }
        Ok((token, beat.snapshot))
    }
}

/// Anybody may send notifications; what is not ours is ignored.
fn understand(channel: &str, payload: &str) -> Option<Heard> {
    match channel {
        MESSAGES => {
            let id: Uuid = payload.parse().ok()?;
            Some(Heard::Message(id.into()))
        }
        CHANNELS | SCHEMA => Some(Heard::Permissions),
        HEARTBEAT => Some(Heard::Heartbeat(payload.to_owned())),
        _ => None,
    }
}

/// Bounds a question to the database.
pub(super) async fn answered<T>(
    question: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, sqlx::Error> {
    timeout(ANSWER_TIMEOUT, question)
        .await
        .unwrap_or_else(|_| Err(silent()))
}

pub(super) fn silent() -> sqlx::Error {
    sqlx::Error::Io(std::io::Error::new(
        std::io::ErrorKind::TimedOut,
        "the database stays silent",
    ))
}

fn replaced() -> sqlx::Error {
    sqlx::Error::Protocol("another relay leads by now".to_owned())
}

fn unannounced() -> sqlx::Error {
    sqlx::Error::Protocol(
        "messages are not announced by notifications, for the migration service was started with \
         REALTIME_SOURCE=wal: give this relay the same value, or that service `listen`"
            .to_owned(),
    )
}

fn lost() -> sqlx::Error {
    sqlx::Error::Io(std::io::Error::new(
        std::io::ErrorKind::ConnectionAborted,
        "the connection that listens was lost",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_send_is_ignored() {
        let id = Uuid::new_v4();
        assert_eq!(
            understand(MESSAGES, &id.to_string()),
            Some(Heard::Message(id.into()))
        );
        assert_eq!(understand(MESSAGES, "no id"), None);
        assert_eq!(understand("elsewhere", &id.to_string()), None);
    }
}
