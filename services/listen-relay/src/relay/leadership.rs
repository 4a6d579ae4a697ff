//! The connection that listens and, by a session lock on it, says which relay is the active one.
//!
//! Lock and LISTEN share one connection on purpose: whoever lost the connection lost the lock, and
//! nobody can believe to be active while hearing nothing.

use std::time::Duration;

use futures::FutureExt;
use ingot_project::{LoginRole, Project};
use sqlx::postgres::{PgListener, PgPoolOptions};
use tokio::time::timeout;
use uuid::Uuid;

use super::status::{Role, Status};
use super::store;

/// How often a standby asks for the lock.
const POLL: Duration = Duration::from_millis(500);
/// Longest wait for an answer of the database; longer means that the peer is gone.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// Channel on which `realtime.messages` announces the id of each new row.
const MESSAGES: &str = "realtime_message";
/// Channel of the relay's own heartbeat.
const HEARTBEAT: &str = "realtime_relay";

/// What the listening connection heard.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// A row was committed.
    Message(Uuid),
    /// A heartbeat came back: everything committed before it was heard.
    Heartbeat(String),
}

/// The lock of the active relay, and its connection.
pub(super) struct Leadership {
    listener: PgListener,
}

impl Leadership {
    /// Connects, and returns as soon as this process is the active relay of the project.
    pub(super) async fn await_turn(
        project: &Project,
        status: &Status,
    ) -> Result<Self, sqlx::Error> {
        // A dead peer must be noticed by the server too, for only then is the lock free.
        let options = project
            .connect_options(LoginRole::Service)
            .application_name("ingot-listen-relay")
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
        while !answered(store::try_lock(&mut listener)).await? {
            tokio::time::sleep(POLL).await;
        }
        answered(listener.listen_all([MESSAGES, HEARTBEAT])).await?;
        Ok(Self { listener })
    }

    /// The connection, for queries; what it hears meanwhile is kept.
    pub(super) fn connection(&mut self) -> &mut PgListener {
        &mut self.listener
    }

    /// Waits for the next notification. Nothing is lost when the future is dropped.
    pub(super) async fn hear(&mut self) -> Result<Heard, sqlx::Error> {
        loop {
            // `None` says that the connection was lost.
            let notification = self.listener.try_recv().await?.ok_or_else(lost)?;
            if let Some(heard) = understand(notification.channel(), notification.payload()) {
                return Ok(heard);
            }
        }
    }

    /// The next notification, if it is there already.
    pub(super) fn hear_now(&mut self) -> Option<Result<Heard, sqlx::Error>> {
        self.hear().now_or_never()
    }

    /// Sends a heartbeat that comes back as [`Heard::Heartbeat`]. Returns its token and what was
    /// committed before it.
    pub(super) async fn beat(&mut self) -> Result<(String, String), sqlx::Error> {
        // Random, so that nobody else can send it first.
        let token = Uuid::new_v4().to_string();
        let snapshot = answered(store::beat(&mut self.listener, HEARTBEAT, &token)).await?;
        Ok((token, snapshot))
    }
}

/// Anybody may send notifications; what is not ours is ignored.
fn understand(channel: &str, payload: &str) -> Option<Heard> {
    match channel {
        MESSAGES => payload.parse().ok().map(Heard::Message),
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
            Some(Heard::Message(id))
        );
        assert_eq!(understand(MESSAGES, "no id"), None);
        assert_eq!(understand("elsewhere", &id.to_string()), None);
    }
}
