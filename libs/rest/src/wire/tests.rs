//! Connections against a server that follows a script.

use std::time::Duration;

use bytes::{BufMut, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use super::{Answers, Batch, Connection, Source, WireError};

const PARSED: &[u8] = b"1\0\0\0\x04";
const BOUND: &[u8] = b"2\0\0\0\x04";
const CLOSED: &[u8] = b"3\0\0\0\x04";
const READY: &[u8] = b"Z\0\0\0\x05I";
const FAILED: &[u8] = b"Z\0\0\0\x05E";

/// The server's end of a connection.
struct Server(DuplexStream);

fn connected() -> (Connection, Server) {
    let (ours, theirs) = tokio::io::duplex(1 << 20);
    (Connection::over(Box::new(ours)), Server(theirs))
}

fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let mut out = BytesMut::new();
    out.put_u8(tag);
    out.put_i32(i32::try_from(body.len()).unwrap() + 4);
    out.put_slice(body);
    out.to_vec()
}

/// A row of one value of type text.
fn described(value: &[u8]) -> Vec<u8> {
    let mut columns = BytesMut::new();
    columns.put_i16(1);
    columns.put_slice(b"word\0");
    columns.put_u32(0);
    columns.put_i16(0);
    columns.put_u32(25);
    columns.put_i16(-1);
    columns.put_i32(-1);
    columns.put_i16(1);
    [message(b'T', &columns), row(value)].concat()
}

fn row(value: &[u8]) -> Vec<u8> {
    let mut row = BytesMut::new();
    row.put_i16(1);
    row.put_i32(i32::try_from(value.len()).unwrap());
    row.put_slice(value);
    message(b'D', &row)
}

fn done(tag: &str) -> Vec<u8> {
    message(b'C', format!("{tag}\0").as_bytes())
}

fn report(tag: u8, severity: &str, code: &str, text: &str) -> Vec<u8> {
    let body = format!("S{severity}\0V{severity}\0C{code}\0M{text}\0\0");
    message(tag, body.as_bytes())
}

fn error(severity: &str, code: &str, text: &str) -> Vec<u8> {
    report(b'E', severity, code, text)
}

fn two_statements() -> Batch {
    let mut batch = Batch::new();
    batch.add(Source::Unnamed("select 1"), []).unwrap();
    let keep = Source::Prepare {
        name: "s1",
        text: "select $1",
    };
    batch.add(keep, [b"pear".as_slice()]).unwrap();
    batch
}

impl Server {
    /// Says something, whatever was sent.
    async fn say(&mut self, parts: &[&[u8]]) {
        self.0.write_all(&parts.concat()).await.unwrap();
    }

    async fn heard(&mut self) -> Vec<u8> {
        let mut heard = BytesMut::with_capacity(4096);
        self.0.read_buf(&mut heard).await.unwrap();
        heard.to_vec()
    }
}

async fn exchange(connection: &mut Connection, batch: Batch) -> Result<Answers, WireError> {
    let limit = Duration::from_secs(5);
    let exchange = connection.exchange(batch);
    tokio::time::timeout(limit, exchange).await.unwrap()
}

#[tokio::test]
async fn a_batch_leaves_at_once_and_ends_with_one_sync() {
    let (mut connection, mut server) = connected();
    let sent = tokio::spawn(async move { exchange(&mut connection, two_statements()).await });
    let heard = server.heard().await;
    assert_eq!(tags(&heard), b"PBDEPBDES");
    drop(server);
    assert!(sent.await.unwrap().is_err());
}

fn tags(mut messages: &[u8]) -> Vec<u8> {
    let mut tags = Vec::new();
    while let [tag, a, b, c, d, ..] = messages {
        tags.push(*tag);
        let length = u32::from_be_bytes([*a, *b, *c, *d]);
        messages = &messages[usize::try_from(length).unwrap() + 1..];
    }
    tags
}

#[tokio::test]
async fn answers_are_sorted_by_statement_and_notices_passed_over() {
    let (mut connection, mut server) = connected();
    let notice = report(b'N', "NOTICE", "00000", "by the way");
    let status = message(b'S', b"default_transaction_read_only\0on\0");
    let told = message(b'A', b"\0\0\0\x01channel\0payload\0");
    let script: Vec<u8> = [
        PARSED,
        BOUND,
        &described(b"one"),
        &done("SELECT 1"),
        &notice,
        PARSED,
        BOUND,
        &status,
        &told,
        &described(b"pear"),
        &done("SELECT 1"),
        READY,
    ]
    .concat();
    // However the bytes are cut.
    tokio::spawn(async move {
        for byte in script {
            server.say(&[&[byte]]).await;
            tokio::task::yield_now().await;
        }
        std::future::pending::<()>().await;
    });
    let answers = exchange(&mut connection, two_statements()).await.unwrap();
    assert!(answers.fault.is_none());
    assert_eq!(answers.prepared, ["s1"]);
    assert_eq!(answers.rows(0).unwrap()[0].get::<&str>(0).unwrap(), "one");
    assert_eq!(answers.rows(1).unwrap()[0].bytes(0).unwrap(), b"pear");
    assert!(connection.is_idle() && connection.is_alive() && connection.reads_only());
}

#[tokio::test]
async fn the_first_error_is_the_reason() {
    let (mut connection, mut server) = connected();
    let mut batch = two_statements();
    batch.sync();
    batch.add(Source::Unnamed("COMMIT"), []).unwrap();
    let (first, second) = (
        error("ERROR", "42P01", "no"),
        error("ERROR", "25P02", "aborted"),
    );
    server
        .say(&[PARSED, BOUND, &first, FAILED, &second, READY])
        .await;
    let answers = exchange(&mut connection, batch).await.unwrap();
    assert_eq!(answers.fault.as_ref().unwrap().code, "42P01");
    assert!(answers.prepared.is_empty(), "the second was never parsed");
    assert!(matches!(answers.succeeded(), Err(WireError::Fault(_))));
    assert!(connection.is_idle() && connection.is_alive());
}

#[tokio::test]
async fn an_open_transaction_is_not_idle() {
    let (mut connection, mut server) = connected();
    server
        .say(&[CLOSED, &error("ERROR", "22012", "no"), FAILED])
        .await;
    let answers = exchange(&mut connection, two_statements()).await.unwrap();
    assert!(answers.fault.is_some());
    assert!(!connection.is_idle());
}

#[tokio::test]
async fn a_session_that_was_ended_before_anything_ran_is_told_apart() {
    let killed = error("FATAL", "57P01", "terminating connection");
    let (mut connection, mut server) = connected();
    server.say(&[&killed]).await;
    drop(server);
    let lost = exchange(&mut connection, two_statements()).await;
    assert!(matches!(lost, Err(WireError::Lost { begun: false, .. })));
    assert!(!connection.is_idle());

    let (mut connection, mut server) = connected();
    let one = described(b"one");
    server
        .say(&[PARSED, BOUND, &one, &done("SELECT 1"), &killed])
        .await;
    let lost = exchange(&mut connection, two_statements()).await;
    assert!(matches!(lost, Err(WireError::Lost { begun: true, .. })));

    let (mut connection, server) = connected();
    drop(server);
    let lost = exchange(&mut connection, two_statements()).await;
    assert!(matches!(lost, Err(WireError::Lost { begun: true, .. })));
}

#[tokio::test]
async fn nonsense_is_the_end() {
    for nonsense in [b"?\0\0\0\x04".as_slice(), b"Z\0\0\0\0", b"D\0\0\0\x05x"] {
        let (mut connection, mut server) = connected();
        server.say(&[nonsense]).await;
        let lost = exchange(&mut connection, two_statements()).await;
        assert!(matches!(lost, Err(WireError::Lost { .. })));
    }
}

#[tokio::test]
async fn a_dead_connection_is_noticed_without_waiting() {
    let (mut connection, mut server) = connected();
    assert!(connection.is_alive());
    server
        .say(&[&report(b'N', "NOTICE", "00000", "still here")])
        .await;
    assert!(connection.is_alive());
    server
        .say(&[&error("FATAL", "57P05", "idle for too long")])
        .await;
    assert!(!connection.is_alive());

    let (mut connection, server) = connected();
    drop(server);
    assert!(!connection.is_alive());
    let (mut connection, _server) = connected();
    connection.abandon();
    assert!(!connection.is_alive());
}

#[tokio::test]
async fn a_server_that_talks_before_it_listens_does_not_block_us() {
    let (ours, mut theirs) = tokio::io::duplex(64);
    let mut connection = Connection::over(Box::new(ours));
    let mut batch = Batch::new();
    let large = vec![b'x'; 100_000];
    batch
        .add(Source::Unnamed("select $1"), [large.as_slice()])
        .unwrap();
    tokio::spawn(async move {
        let notice = report(b'N', "NOTICE", "00000", &"y".repeat(10_000));
        theirs.write_all(&notice).await.unwrap();
        let mut heard = 0;
        while heard < 100_000 {
            heard += theirs.read(&mut [0; 4096]).await.unwrap();
        }
        let answer = [PARSED, BOUND, &described(b"one"), &done("SELECT 1"), READY].concat();
        theirs.write_all(&answer).await.unwrap();
    });
    let answers = exchange(&mut connection, batch).await.unwrap();
    assert_eq!(answers.rows(0).unwrap().len(), 1);
}
