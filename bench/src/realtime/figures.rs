//! The measurements; each is one or more lines of the table.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, ensure};
use futures::future::{join_all, try_join_all};
use sqlx::PgConnection;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use super::socket::{Entrance, Socket};
use super::stack::{Peer, Stack};
use crate::files;

pub(super) type Row = Vec<String>;

const ROOM: usize = 1_000;
const BYTES: usize = 1_024;
const STORM: usize = 2_000;
/// Or as many as the edge may have, with two files for each.
const IDLE: usize = 10_000;
/// Sockets that connect at the same time where that is not what is measured.
const AT_ONCE: usize = 100;
const PATIENCE: Duration = Duration::from_mins(1);

pub(super) fn row(figure: String, ours: String, peer: String, goal: &str) -> Row {
    vec![figure, ours, peer, goal.to_owned()]
}

/// From before the statement that publishes to the client.
pub(super) async fn latency(stack: &Stack, seconds: u32) -> anyhow::Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (rate, publishers) in [(50, 1), (1_000, 8)] {
        let mut socket = Socket::open(&stack.entrance(Some("bench:latency"))?).await?;
        let mut publishing = JoinSet::new();
        for _ in 0..publishers {
            let sql = stack.sql().await?;
            publishing.spawn(publish_at(sql, rate / publishers, seconds));
        }
        let count = usize::try_from(rate / publishers * publishers * seconds)?;
        let mut times = Vec::with_capacity(count);
        while times.len() < count {
            let event = timeout(PATIENCE, socket.event()).await??;
            times.push(now()? - sent_at(event)?);
        }
        times.sort_unstable();
        rows.push(row(
            format!("publish → client at {rate}/s, p50 / p99"),
            format!(
                "{:.1} / {:.1} ms",
                percentile(&times, 50),
                percentile(&times, 99)
            ),
            "–".to_owned(),
            "3 / 15 ms",
        ));
    }
    Ok(rows)
}

async fn publish_at(mut sql: PgConnection, rate: u32, seconds: u32) -> anyhow::Result<()> {
    let mut tick = interval(Duration::from_secs(1) / rate);
    tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
    for _ in 0..rate * seconds {
        tick.tick().await;
        sqlx::query(
            "select realtime.publish('bench:latency', 'm', jsonb_build_object('t', $1::int8))",
        )
        .bind(now()?)
        .execute(&mut sql)
        .await?;
    }
    Ok(())
}

/// Microseconds since 1970.
fn now() -> anyhow::Result<i64> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH)?;
    Ok(i64::try_from(since.as_micros())?)
}

/// The number after `"t":`.
fn sent_at(event: &[u8]) -> anyhow::Result<i64> {
    let text = String::from_utf8_lossy(event);
    let (_, rest) = text
        .split_once("\"t\":")
        .context("a message without its time")?;
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    Ok(digits.parse()?)
}

/// In milliseconds.
#[allow(clippy::cast_precision_loss, reason = "a few seconds at the most")]
fn percentile(sorted: &[i64], percent: usize) -> f64 {
    let place = sorted.len() * percent / 100;
    let time = sorted.get(place.min(sorted.len().saturating_sub(1)));
    time.copied().unwrap_or_default() as f64 / 1e3
}

/// Bursts of one transaction: what is lost, and what comes out of order.
pub(super) async fn bursts(stack: &Stack) -> anyhow::Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (messages, subscribers) in [(10_000, 1), (2_000, 100)] {
        let channel = format!("bench:burst:{messages}");
        let sockets = open_all(&stack.entrance(Some(&channel))?, subscribers).await?;
        let reading = sockets
            .into_iter()
            .map(|socket| read_numbers(socket, messages));
        let begin = Instant::now();
        let mut sql = stack.sql().await?;
        let publishing = sqlx::query(
            "select realtime.publish($1, 'm', jsonb_build_object('t', n))
            from generate_series(1, $2::int8) as n",
        )
        .bind(&channel)
        .bind(messages)
        .execute(&mut sql);
        let (published, read) = tokio::join!(publishing, join_all(reading));
        published?;
        let (mut lost, mut reordered) = (0, 0);
        for (missing, inversions) in read {
            lost += missing;
            reordered += inversions;
        }
        rows.push(row(
            format!("{messages} messages in one transaction × {subscribers}: lost / reordered"),
            format!(
                "{lost} / {reordered} in {:.1} s",
                begin.elapsed().as_secs_f64()
            ),
            "–".to_owned(),
            "0 / 0",
        ));
    }
    Ok(rows)
}

async fn read_numbers(mut socket: Socket, messages: i64) -> (i64, i64) {
    let (mut count, mut last, mut inversions) = (0, 0, 0);
    while count < messages {
        let Ok(Ok(event)) = timeout(PATIENCE, socket.event()).await else {
            break;
        };
        // Others who join are told of, too.
        let Ok(number) = sent_at(event) else {
            continue;
        };
        count += 1;
        inversions += i64::from(number < last);
        last = number;
    }
    (messages - count, inversions)
}

pub(super) async fn open_all(entrance: &Entrance, count: usize) -> anyhow::Result<Vec<Socket>> {
    let mut sockets = Vec::with_capacity(count);
    while sockets.len() < count {
        let batch = AT_ONCE.min(count - sockets.len());
        let opening = (0..batch).map(|_| Socket::open(entrance));
        sockets.extend(try_join_all(opening).await?);
    }
    Ok(sockets)
}

/// Many sockets that all come at the same moment.
pub(super) async fn join_storm(stack: &Stack) -> anyhow::Result<Vec<Row>> {
    let entrance = stack.entrance(Some("bench:storm"))?;
    let begin = Instant::now();
    let opened = join_all((0..STORM).map(|_| Socket::open(&entrance))).await;
    let time = begin.elapsed();
    let refused = opened.iter().filter(|socket| socket.is_err()).count();
    Ok(vec![row(
        format!("{STORM} sockets join at once: refused / time"),
        format!("{refused} / {:.1} s", time.as_secs_f64()),
        "–".to_owned(),
        "0 / 5 s",
    )])
}

/// CPU time per delivered message, in one room.
pub(super) async fn cost(
    stack: &Stack,
    [peer, bare]: &[Peer; 2],
    seconds: u32,
) -> anyhow::Result<Vec<Row>> {
    let mut rows = Vec::new();
    for rate in [25, 50, 200] {
        let audience = Audience::open(&stack.entrance(Some("bench"))?).await?;
        let before = stack.node.cpu_time()?;
        broadcast(stack, rate, seconds).await?;
        let delivered = audience.settle().await;
        let ours = per_message(stack.node.cpu_time()?.saturating_sub(before), delivered)?;
        drop(audience);
        let theirs = cost_of(peer, rate, seconds).await?;
        let least = cost_of(bare, rate, seconds).await?;
        rows.push(row(
            format!("CPU per delivery, {ROOM} sockets, 1 KB, {rate}/s"),
            format!("{ours:.1} µs ({:.2})", ours / theirs),
            format!("{theirs:.1} µs (1)"),
            "0.25",
        ));
        rows.push(row(
            format!("the same, write calls alone, {rate}/s"),
            "–".to_owned(),
            format!("{least:.1} µs ({:.2})", least / theirs),
            "–",
        ));
    }
    Ok(rows)
}

async fn cost_of(peer: &Peer, rate: u32, seconds: u32) -> anyhow::Result<f64> {
    let audience = Audience::open(&peer.entrance()).await?;
    let before = peer.process.cpu_time()?;
    peer.emit(rate, seconds, BYTES).await?;
    let delivered = audience.settle().await;
    per_message(peer.process.cpu_time()?.saturating_sub(before), delivered)
}

/// In microseconds.
pub(super) fn per_message(cpu: Duration, delivered: u64) -> anyhow::Result<f64> {
    ensure!(delivered > 0, "nothing was delivered");
    Ok(cpu.as_secs_f64() * 1e6 / f64::from(u32::try_from(delivered)?))
}

async fn broadcast(stack: &Stack, rate: u32, seconds: u32) -> anyhow::Result<()> {
    let mut sql = stack.sql().await?;
    let mut tick = interval(Duration::from_secs(1) / rate);
    for _ in 0..rate * seconds {
        tick.tick().await;
        sqlx::query(
            "select realtime.publish('bench', 'm', jsonb_build_object('text', repeat('x', $1)))",
        )
        .bind(i32::try_from(BYTES)?)
        .execute(&mut sql)
        .await?;
    }
    Ok(())
}

/// Sockets that count what they get.
pub(super) struct Audience {
    delivered: Arc<AtomicU64>,
    _readers: JoinSet<()>,
}

impl Audience {
    async fn open(entrance: &Entrance) -> anyhow::Result<Self> {
        let audience = Self::of(open_all(entrance, ROOM).await?);
        // Presence of the newcomers is not what is measured.
        sleep(Duration::from_secs(1)).await;
        Ok(audience)
    }

    pub(super) fn of(sockets: Vec<Socket>) -> Self {
        let delivered = Arc::new(AtomicU64::new(0));
        let mut readers = JoinSet::new();
        for mut socket in sockets {
            let delivered = Arc::clone(&delivered);
            readers.spawn(async move {
                while let Ok(event) = socket.event().await {
                    if event.starts_with(b"42[\"m\"") {
                        delivered.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
        Self {
            delivered,
            _readers: readers,
        }
    }

    /// Waits until nothing more comes. Returns how much came.
    pub(super) async fn settle(&self) -> u64 {
        let mut last = 0;
        loop {
            sleep(Duration::from_secs(1)).await;
            let now = self.delivered.load(Ordering::Relaxed);
            if now == last {
                return now;
            }
            last = now;
        }
    }
}

/// What idle sockets cost, in the node and in the edge.
pub(super) async fn memory(stack: &Stack) -> anyhow::Result<Vec<Row>> {
    let entrance = stack.entrance(None)?;
    // What a first socket needs once is no cost of the others.
    let first = open_all(&entrance, AT_ONCE).await?;
    let parts = [
        ("node", &stack.node, "20 KB"),
        ("edge", &stack.edge, "30 KB"),
    ];
    let mut before = Vec::new();
    for (_, process, _) in parts {
        before.push(process.memory()?);
    }
    let count = IDLE.min(files::limit() / 2).saturating_sub(AT_ONCE * 4);
    let sockets = open_all(&entrance, count).await?;
    sleep(Duration::from_secs(2)).await;
    let mut rows = Vec::new();
    for ((name, process, goal), before) in parts.into_iter().zip(before) {
        let grown = process.memory()?.saturating_sub(before) / u64::try_from(sockets.len())?;
        rows.push(row(
            format!("memory per idle WebSocket of {count}, {name}"),
            format!("{:.1} KB", f64::from(u32::try_from(grown)?) / 1024.0),
            "–".to_owned(),
            goal,
        ));
    }
    drop(first);
    Ok(rows)
}
