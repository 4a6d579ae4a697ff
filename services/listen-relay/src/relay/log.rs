//! Committed messages from PostgreSQL's log: a replication connection with a slot of its own.
//!
//! The slot is temporary: it ends with its connection, and holds back no log while nobody reads.
//! What was committed meanwhile is found by the saved snapshot, as after every interruption. That
//! is also why a slot that PostgreSQL takes away (`max_slot_wal_keep_size`) costs nothing but a new
//! one.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use ingot_config::Secret;
use ingot_project::Project;
use ingot_schema::PUBLICATION;
use pgwire_replication::{
    Lsn, PgWireError, ReplicationClient, ReplicationConfig, ReplicationEvent,
};
use uuid::Uuid;

use super::encryption::way_to;
use super::leadership::{Announced, Heard};

/// What marks heartbeats among the log's messages.
pub(super) const BEAT: &str = "ingot_realtime";
/// How soon PostgreSQL hears how far we are, and that we are there.
const STATUS: Duration = Duration::from_secs(1);
/// Events that may wait; what is more waits in PostgreSQL.
const BUFFER: usize = 1024;

/// Who reads the log: a login with the attribute `REPLICATION`.
#[derive(Debug, Clone)]
pub(crate) struct LogReader {
    pub(crate) user: String,
    pub(crate) password: Secret,
}

/// The log of one database, from the moment on when it was opened.
pub(super) struct LogStream {
    client: ReplicationClient,
    slot: String,
    /// Where the last heartbeat was.
    beat: Lsn,
    /// The transaction that it is telling of.
    transaction: Option<u32>,
}

impl LogStream {
    /// Opens the log. PostgreSQL waits with that until all transactions under way have ended.
    pub(super) async fn open(project: &Project, reader: &LogReader) -> Result<Self, sqlx::Error> {
        let slot = format!("ingot_realtime_{}", Uuid::new_v4().simple());
        let database = &project.database;
        let (host, port) = Box::pin(way_to(database)).await.map_err(unreachable)?;
        let config = ReplicationConfig::new(
            host,
            reader.user.as_str(),
            reader.password.expose(),
            database.name.as_str(),
            slot.as_str(),
            PUBLICATION,
        )
        .with_port(port)
        .with_status_interval(STATUS)
        .with_wakeup_interval(STATUS)
        .with_buffer_size(BUFFER);
        let mut client = ReplicationClient::connect_gated(config)
            .await
            .map_err(|error| failed(&error))?;
        let create = format!("CREATE_REPLICATION_SLOT {slot} TEMPORARY LOGICAL pgoutput");
        client
            .simple_query(&create)
            .await
            .map_err(|error| failed(&error))?;
        client.start().await.map_err(|error| failed(&error))?;
        client
            .wait_started()
            .await
            .map_err(|error| failed(&error))?;
        Ok(Self {
            client,
            slot,
            beat: Lsn::ZERO,
            transaction: None,
        })
    }

    /// The name of its slot.
    pub(super) fn slot(&self) -> &str {
        &self.slot
    }

    /// Waits for the next message or heartbeat. Nothing is lost when the future is dropped.
    pub(super) async fn hear(&mut self) -> Result<Heard, sqlx::Error> {
        loop {
            let event = self.client.recv().await.map_err(|error| failed(&error))?;
            match event {
                Some(ReplicationEvent::Begin { xid, .. }) => self.transaction = Some(xid),
                Some(ReplicationEvent::XLogData { data, .. }) => {
                    if let Some(id) = inserted(&data) {
                        let transaction = self.transaction;
                        return Ok(Heard::Message(Announced { id, transaction }));
                    }
                }
                Some(ReplicationEvent::Message {
                    lsn,
                    prefix,
                    content,
                    ..
                }) if prefix == BEAT => {
                    self.beat = lsn;
                    let token = String::from_utf8_lossy(&content).into_owned();
                    return Ok(Heard::Heartbeat(token));
                }
                Some(_) => {}
                None => return Err(failed(&PgWireError::Protocol("the log ended".to_owned()))),
            }
        }
    }

    /// Everything before the last heartbeat is on the bus.
    pub(super) fn confirm(&self) {
        self.client.update_applied_lsn(self.beat);
    }
}

/// The id of a new row: the first column of an insert of `pgoutput`
/// (<https://www.postgresql.org/docs/current/protocol-logicalrep-message-formats.html>). The
/// publication has this table and this column alone.
fn inserted(data: &Bytes) -> Option<Uuid> {
    // Kind, relation, `N` for a new row, number of columns, `t` for text, its length.
    let (b"I", rest) = data.split_at_checked(1)? else {
        return None;
    };
    let (_relation, rest) = rest.split_at_checked(4)?;
    let (_new, rest) = rest.split_at_checked(3)?;
    let (b"t", rest) = rest.split_at_checked(1)? else {
        return None;
    };
    let (length, rest) = rest.split_first_chunk()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    Uuid::try_parse_ascii(rest.get(..length)?).ok()
}

fn unreachable(error: io::Error) -> sqlx::Error {
    failed(&PgWireError::from(error))
}

fn failed(error: &PgWireError) -> sqlx::Error {
    sqlx::Error::Protocol(format!("the log cannot be read: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_inserts_have_an_id() {
        let id = Uuid::new_v4();
        let text = id.to_string();
        let mut insert = b"I\0\0\x40\x01N\0\x01t\0\0\0\x24".to_vec();
        insert.extend(text.bytes());
        assert_eq!(inserted(&Bytes::from(insert.clone())), Some(id));
        for length in 0..insert.len() {
            assert_eq!(inserted(&Bytes::copy_from_slice(&insert[..length])), None);
        }
        for other in [&b"R\0\0\x40\x01realtime\0messages\0d\0\x01"[..], b"B", b""] {
            assert_eq!(inserted(&Bytes::copy_from_slice(other)), None);
        }
    }
}
