//! Where committed realtime messages are heard of: by notifications, or from PostgreSQL's log.
//!
//! Every transaction that notifies takes a lock of the whole instance while it commits. Where the
//! log is read instead, the trigger that notifies is off. Switching it waits for all transactions
//! that write messages, so whoever sees a state of the trigger knows what every message that it
//! sees did.

use std::time::{Duration, Instant};

use ingot_config::SettingValue;
use sqlx::error::DatabaseError;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, query_as, query_scalar};

use crate::SchemaError;

/// The publication that has the ids of new messages, and nothing else.
pub const PUBLICATION: &str = "ingot_realtime";

/// How long writers may be held up by one attempt to switch.
const LOCK_TIMEOUT: &str = "set local lock_timeout = '500ms'";
/// Pause between attempts.
const PAUSE: Duration = Duration::from_millis(500);
/// Longest time of all attempts: a transaction that has written a message may stay open.
const PATIENCE: Duration = Duration::from_mins(1);
/// `lock_not_available`.
const NO_LOCK: &str = "55P03";

/// Where the relay hears of committed messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RealtimeSource {
    /// From notifications.
    Listen,
    /// From PostgreSQL's log, by logical replication.
    Wal,
}

impl SettingValue for RealtimeSource {
    const KIND: &'static str = "listen or wal";

    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "listen" => Ok(Self::Listen),
            "wal" => Ok(Self::Wal),
            _ => Err(format!(
                "`{text}` is no source of messages: use {}",
                Self::KIND
            )),
        }
    }
}

/// Lets messages be heard of at `source`, and with [`RealtimeSource::Wal`] lets the login `reader`
/// into the database. Does nothing where that is so.
///
/// # Errors
/// PostgreSQL refuses, or transactions that have written messages stay open for a minute.
pub async fn switch_realtime_source(
    owner: &mut PgConnection,
    source: RealtimeSource,
    reader: Option<&str>,
) -> Result<(), SchemaError> {
    if let (RealtimeSource::Wal, Some(reader)) = (source, reader) {
        let grant: String = query_scalar(
            "select format('grant connect on database %I to %I', current_database(), $1::text)",
        )
        .bind(reader)
        .fetch_one(&mut *owner)
        .await?;
        owner.execute(AssertSqlSafe(grant)).await?;
    }
    let begin = Instant::now();
    loop {
        match attempt(owner, source).await {
            Err(error) if is_locked(&error) && begin.elapsed() < PATIENCE => {
                tokio::time::sleep(PAUSE).await;
            }
            ended => return Ok(ended?),
        }
    }
}

async fn attempt(owner: &mut PgConnection, source: RealtimeSource) -> Result<(), sqlx::Error> {
    let (notifies, published): (bool, bool) = query_as(
        "select
            exists (
                select from pg_trigger
                where tgrelid = 'realtime.messages'::regclass
                    and tgname = 'trg_message_notify' and tgenabled <> 'D'
            ),
            exists (select from pg_publication where pubname = $1)",
    )
    .bind(PUBLICATION)
    .fetch_one(&mut *owner)
    .await?;
    let mut transaction = owner.begin().await?;
    transaction.execute(LOCK_TIMEOUT).await?;
    if source == RealtimeSource::Wal && !published {
        let create = format!(
            "create publication {PUBLICATION} for table realtime.messages (id) \
             with (publish = 'insert')"
        );
        transaction.execute(AssertSqlSafe(create)).await?;
    }
    if notifies != (source == RealtimeSource::Listen) {
        let switch = if notifies { "disable" } else { "enable" };
        let alter = format!("alter table realtime.messages {switch} trigger trg_message_notify");
        transaction.execute(AssertSqlSafe(alter)).await?;
        tracing::info!(
            ?source,
            "realtime messages are heard of elsewhere from now on"
        );
    }
    transaction.commit().await
}

fn is_locked(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(DatabaseError::code);
    code.as_deref() == Some(NO_LOCK)
}
