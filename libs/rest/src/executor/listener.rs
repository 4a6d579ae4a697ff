//! LISTEN on a connection of its own, for as long as the engine runs.

use std::time::Duration;

use futures::{StreamExt, stream};
use tokio::sync::mpsc;
use tokio_postgres::{AsyncMessage, Client, Config, Error, NoTls};
use tokio_util::sync::CancellationToken;

use super::tls::Tls;

/// Pauses between attempts to connect.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// How often the link is tried, so that a dead one is noticed.
const HEARTBEAT: Duration = Duration::from_secs(30);

/// Notifications that may wait. More than a few reloads in a row say nothing new.
const QUEUE: usize = 16;

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
        let session = session(&config, &tls, &channel, &notices);
        let ended = tokio::select! {
            () = shutdown.cancelled() => return,
            ended = session => ended,
        };
        match ended {
            Ok(()) => pause = FIRST_PAUSE,
            Err(error) => {
                tracing::warn!(%error, ?pause, "not listening for schema changes, trying again");
            }
        }
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

async fn session(
    config: &Config,
    tls: &Tls,
    channel: &str,
    notices: &mpsc::Sender<Notice>,
) -> Result<(), Error> {
    if let Some(tls) = tls.connector() {
        let (client, connection) = config.connect(tls).await?;
        follow(client, connection, channel, notices).await
    } else {
        let (client, connection) = config.connect(NoTls).await?;
        follow(client, connection, channel, notices).await
    }
}

/// Drives the connection itself, because that is where notifications surface.
async fn follow<S, T>(
    client: Client,
    mut connection: tokio_postgres::Connection<S, T>,
    channel: &str,
    notices: &mpsc::Sender<Notice>,
) -> Result<(), Error>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
    T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    let (payloads, mut received) = mpsc::channel::<String>(QUEUE);
    let driver = async move {
        let mut messages = stream::poll_fn(move |context| connection.poll_message(context));
        while let Some(message) = messages.next().await {
            if let AsyncMessage::Notification(notification) = message? {
                // A full queue has a reload waiting already.
                let _full = payloads.try_send(notification.payload().to_owned());
            }
        }
        Ok(())
    };
    let reader = async {
        let quoted = channel.replace('"', "\"\"");
        client
            .batch_execute(&format!("LISTEN \"{quoted}\""))
            .await?;
        if notices.send(Notice::Connected).await.is_err() {
            return Ok(());
        }
        loop {
            tokio::select! {
                payload = received.recv() => {
                    let Some(payload) = payload else { return Ok(()) };
                    if notices.send(Notice::Payload(payload)).await.is_err() {
                        return Ok(());
                    }
                }
                () = tokio::time::sleep(HEARTBEAT) => {
                    // A link that does not answer is dead; the caller makes a new one.
                    match tokio::time::timeout(HEARTBEAT, client.batch_execute("SELECT 1")).await {
                        Ok(answered) => answered?,
                        Err(_) => return Ok(()),
                    }
                }
            }
        }
    };
    tokio::select! {
        ended = driver => ended,
        ended = reader => ended,
    }
}
