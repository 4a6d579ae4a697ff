//! Rooms spread over nodes, and one room with very many members.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use futures::future::try_join_all;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::{interval, sleep, timeout};

use super::figures::{Audience, Row, open_all, per_message, row};
use super::socket::Entrance;
use super::stack::{Node, Peer, Stack};
use crate::child::Process;

const ROOMS: usize = 200;
/// Sockets in each room.
const MEMBERS: usize = 5;
/// Messages in a second, to the rooms in turns.
const RATE: u32 = 400;
const NODES: usize = 4;
/// Members of the one room.
const CROWD: usize = 5_000;
/// Of them at the same time.
const AT_ONCE: usize = 250;
const PATIENCE: Duration = Duration::from_mins(1);

/// The same rooms on one node and on several: what reaches whom, and what a delivery costs.
pub(super) async fn nodes(stack: &Stack, folder: &Path, seconds: u32) -> anyhow::Result<Vec<Row>> {
    let first = (&stack.node, stack.node_address());
    let alone = run(stack, &[first], seconds).await?;
    let further: Vec<Node> = try_join_all((1..NODES).map(|_| stack.further_node(folder))).await?;
    let mut all = vec![first];
    all.extend(further.iter().map(|node| (&node.process, node.address)));
    let together = run(stack, &all, seconds).await?;
    drop(further);
    let bare = [
        bare(folder, 1, seconds).await?,
        bare(folder, NODES, seconds).await?,
    ];
    Ok(vec![
        row(
            format!("{ROOMS} rooms on 1 → {NODES} nodes: messages at a node without members"),
            format!("{} → {}", alone.strays, together.strays),
            "–".to_owned(),
            "0",
        ),
        row(
            format!("{ROOMS} rooms on 1 → {NODES} nodes: CPU per delivery"),
            rise([alone.cost, together.cost]),
            "–".to_owned(),
            "± 15 %",
        ),
        row(
            format!("the same, 1 → {NODES} processes that read a line and write"),
            "–".to_owned(),
            rise(bare),
            "–",
        ),
    ])
}

fn rise([alone, together]: [f64; 2]) -> String {
    let percent = (together / alone - 1.0) * 100.0;
    format!("{alone:.1} → {together:.1} µs ({percent:+.0} %)")
}

/// CPU time per delivery of processes that do nothing but read which room has a message, and write
/// to its sockets: what it costs this machine to have more of them.
async fn bare(folder: &Path, count: usize, seconds: u32) -> anyhow::Result<f64> {
    let peers = try_join_all((0..count).map(|_| Peer::bare(folder))).await?;
    let mut sockets = Vec::with_capacity(ROOMS * MEMBERS);
    let mut feeds = Vec::with_capacity(count);
    for peer in &peers {
        let mut feed = TcpStream::connect(peer.address).await?;
        feed.set_nodelay(true)?;
        feed.write_all(b"GET /feed HTTP/1.1\r\n\r\n").await?;
        feeds.push(feed);
    }
    for room in 0..ROOMS {
        let peer = peers.get(room % count).context("no process")?;
        let entrance = Entrance {
            subscribe: format!(r#"["{room}"]"#),
            ..peer.entrance()
        };
        sockets.extend(open_all(&entrance, MEMBERS).await?);
    }
    let audience = Audience::of(sockets);
    sleep(Duration::from_secs(1)).await;
    let nodes: Vec<_> = peers
        .iter()
        .map(|peer| (&peer.process, peer.address))
        .collect();
    let before = used(&nodes)?;
    let mut tick = interval(Duration::from_secs(1) / RATE);
    for number in 0..usize::try_from(RATE * seconds)? {
        tick.tick().await;
        let room = number % ROOMS;
        let feed = feeds.get_mut(room % count).context("no process")?;
        feed.write_all(format!("\"{room}\"]\n").as_bytes()).await?;
    }
    let delivered = audience.settle().await;
    per_message(used(&nodes)?.saturating_sub(before), delivered)
}

struct Outcome {
    /// Messages that came to nodes beyond the one that has the room.
    strays: u64,
    /// CPU time of all nodes per delivery, in microseconds.
    cost: f64,
}

async fn run(
    stack: &Stack,
    nodes: &[(&Process, SocketAddr)],
    seconds: u32,
) -> anyhow::Result<Outcome> {
    let mut sockets = Vec::with_capacity(ROOMS * MEMBERS);
    for room in 0..ROOMS {
        let (_, address) = nodes.get(room % nodes.len()).context("no node")?;
        let entrance = stack.entrance_to(*address, &format!("bench:spread:{room}"))?;
        sockets.extend(open_all(&entrance, MEMBERS).await?);
    }
    let audience = Audience::of(sockets);
    sleep(Duration::from_secs(1)).await;
    let (heard, used) = (heard(nodes).await?, used(nodes)?);
    let published = publish(stack, seconds).await?;
    let delivered = audience.settle().await;
    ensure!(
        delivered == published * MEMBERS as u64,
        "{delivered} deliveries of {published} messages to {MEMBERS} each"
    );
    Ok(Outcome {
        strays: (self::heard(nodes).await? - heard).saturating_sub(published),
        cost: per_message(self::used(nodes)?.saturating_sub(used), delivered)?,
    })
}

async fn publish(stack: &Stack, seconds: u32) -> anyhow::Result<u64> {
    let mut sql = stack.sql().await?;
    let mut tick = interval(Duration::from_secs(1) / RATE);
    let count = RATE * seconds;
    for number in 0..count {
        tick.tick().await;
        sqlx::query(
            "select realtime.publish($1, 'm', jsonb_build_object('text', repeat('x', 1024)))",
        )
        .bind(format!("bench:spread:{}", number % u32::try_from(ROOMS)?))
        .execute(&mut sql)
        .await?;
    }
    Ok(count.into())
}

/// Messages that the nodes together took from the bus.
async fn heard(nodes: &[(&Process, SocketAddr)]) -> anyhow::Result<u64> {
    let mut sum = 0;
    for (_, address) in nodes {
        let metrics = reqwest::get(format!("http://{address}/metrics"))
            .await?
            .text()
            .await?;
        let line = metrics
            .lines()
            .find_map(|line| line.strip_prefix("realtime_messages_total"))
            .context("no realtime_messages_total")?;
        let (_, value) = line.rsplit_once(' ').context("no value")?;
        sum += value.parse::<u64>()?;
    }
    Ok(sum)
}

fn used(nodes: &[(&Process, SocketAddr)]) -> anyhow::Result<Duration> {
    let mut sum = Duration::ZERO;
    for (process, _) in nodes {
        sum += process.cpu_time()?;
    }
    Ok(sum)
}

/// Very many members join one room, each of which hears of those who come after it.
pub(super) async fn crowd(stack: &Stack, folder: &Path) -> anyhow::Result<Vec<Row>> {
    let second = stack.further_node(folder).await?;
    let addresses = [stack.node_address(), second.address];
    let begin = Instant::now();
    let mut readers = tokio::task::JoinSet::new();
    let mut joined = 0;
    while joined < CROWD {
        let opening = (joined..CROWD.min(joined + AT_ONCE)).map(|number| async move {
            // Everybody is a user of their own.
            let address = if number % 2 == 0 {
                addresses.first()
            } else {
                addresses.last()
            };
            let entrance = stack.entrance_to(*address.context("no node")?, "bench:crowd")?;
            super::socket::Socket::open(&entrance).await
        });
        for mut socket in timeout(PATIENCE, try_join_all(opening)).await?? {
            joined += 1;
            readers.spawn(async move { while socket.event().await.is_ok() {} });
        }
    }
    let time = begin.elapsed();
    Ok(vec![row(
        format!("{CROWD} users join one room on 2 nodes"),
        format!("{:.1} s", time.as_secs_f64()),
        "–".to_owned(),
        "10 s",
    )])
}
