//! LISTEN on a connection of its own, for as long as the engine runs.

use std::time::Duration;

use postgres_protocol::message::backend::Message;
use tokio::sync::mpsc;
use tokio_postgres::Config;
use tokio_util::sync::CancellationToken;

use crate::wire::tls::Tls;
use crate::wire::{Batch, Connection, Source, WireError, connect};

/// Pauses between attempts to connect.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// How often the link is tried, so that a dead one is noticed.
const HEARTBEAT: Duration = Duration::from_secs(30);

/// Something that the engine should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Notice {
    /// The connection was made, for the first time or again: anything may have been missed.
    Connected,
    /// Somebody sent this.
    Payload(String),
}

/// Sends what is notified on `channel` to `notices`, until `shutdown`.
pub(crate) async fn listen(
    config: Config,
    tls: Tls,
    channel: String,
    notices: mpsc::Sender<Notice>,
    shutdown: CancellationToken,
) {
    let mut pause = FIRST_PAUSE;
    loop {
        let session = session(&config, &tls, &channel, &notices, &mut pause);
        let ended = tokio::select! {
            () = shutdown.cancelled() => return,
            ended = session => ended,
        };
        if let Err(error) = ended {
            tracing::warn!(%error, ?pause, "not listening for schema changes, trying again");
        }
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// One connection, from its beginning to its end. Once it listens, pauses are short again.
async fn session(
    config: &Config,
    tls: &Tls,
    channel: &str,
    notices: &mpsc::Sender<Notice>,
    pause: &mut Duration,
) -> Result<(), WireError> {
    let mut connection = connect(config, tls).await?;
    let quoted = channel.replace('"', "\"\"");
    say(&mut connection, &format!("LISTEN \"{quoted}\"")).await?;
    let mut unanswered = true;
    let mut listening = false;
    loop {
        let message = tokio::time::timeout(HEARTBEAT, connection.receive()).await;
        match message {
            Ok(Ok(Message::NotificationResponse(notification))) => {
                let payload = notification.message().unwrap_or_default().to_owned();
                // A full queue has a reload waiting already.
                let _full = notices.try_send(Notice::Payload(payload));
            }
            Ok(Ok(Message::ReadyForQuery(_))) => {
                unanswered = false;
                if !std::mem::replace(&mut listening, true) {
                    *pause = FIRST_PAUSE;
                    if notices.send(Notice::Connected).await.is_err() {
                        return Ok(());
                    }
                }
            }
            Ok(Ok(Message::ErrorResponse(_))) => return Err(WireError::unexpected()),
            Ok(Ok(_)) => {}
            Ok(Err(error)) => return Err(error),
            Err(_) if unanswered => {
                return Err(WireError::Refused("the database fell silent".to_owned()));
            }
            Err(_) => {
                unanswered = true;
                say(&mut connection, "SELECT 1").await?;
            }
        }
    }
}

async fn say(connection: &mut Connection, text: &str) -> Result<(), WireError> {
    let mut batch = Batch::new();
    batch.add(Source::Unnamed(text), [])?;
    connection.post(&mut batch).await;
    Ok(())
}
