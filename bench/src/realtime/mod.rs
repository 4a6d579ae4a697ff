//! Realtime: what a delivery costs beside Node's socket.io server, how long a message takes, whether
//! bursts arrive whole, and what sockets cost.
//!
//! [`socket`] is the client, [`stack`] what is measured, [`bare`] the least that it can cost, [`figures`] the measurements of one node,
//! [`spread`] those of several, [`storage`] what PostgreSQL writes.

mod bare;
mod figures;
mod socket;
mod spread;
mod stack;
mod storage;

use std::path::Path;

use crate::report::{self, Section};
use crate::{Plan, files};
pub(crate) use bare::serve as serve_writes;
use stack::{Peer, Stack};

/// A part of the measurements, for those who want only some.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Part {
    /// From SQL to the client
    Latency,
    /// Thousands of messages in one transaction
    Bursts,
    /// Thousands of sockets at the same moment
    Joins,
    /// CPU time beside Node's socket.io server
    Cost,
    /// One node and four
    Spread,
    /// What is written to the log of PostgreSQL
    Storage,
    /// Idle sockets
    Memory,
}

/// Measures everything once, or only some parts; `plan` says how long.
pub(crate) async fn compare(plan: Plan, parts: &[Part]) -> anyhow::Result<Section> {
    // Each socket is a file here and two in the edge.
    files::raise_limit();
    let folder = tempfile::tempdir()?;
    let seconds = u32::try_from(plan.length.as_secs())?.max(1);
    let rows = measure(folder.path(), seconds, parts).await?;
    Ok(Section {
        id: "realtime",
        command: "realtime",
        title: "Realtime",
        text: format!(
            "Messages are published by SQL and go through relay, NATS, one node and one edge to \
             clients on loopback, which read frames and nothing else. The peer is Node's socket.io \
             server (npm), which broadcasts by itself, to clients that are connected to it directly; \
             below it, a loop that does nothing but write the same to every socket. \
             CPU is user and system time of the node, and of the peer. Where there are several \
             nodes, clients are connected to them directly. {seconds} s for each rate."
        ),
        columns: &["figure", "Ingot", "peer", "goal"],
        rows,
    })
}

async fn measure(folder: &Path, seconds: u32, parts: &[Part]) -> anyhow::Result<Vec<Vec<String>>> {
    let wanted = |part: Part| parts.is_empty() || parts.contains(&part);
    let mut rows = Vec::new();
    let mut add = |new: Vec<Vec<String>>| {
        for row in new {
            report::print_row(&row);
            rows.push(row);
        }
    };
    let stack = Stack::start(folder).await?;
    if wanted(Part::Latency) {
        add(figures::latency(&stack, seconds).await?);
    }
    if wanted(Part::Bursts) {
        add(figures::bursts(&stack).await?);
    }
    if wanted(Part::Joins) {
        add(figures::join_storm(&stack).await?);
        add(spread::crowd(&stack, folder).await?);
    }
    if wanted(Part::Cost) {
        let peers = [Peer::start(folder).await?, Peer::bare(folder).await?];
        add(figures::cost(&stack, &peers, seconds).await?);
    }
    if wanted(Part::Spread) {
        add(spread::nodes(&stack, folder, seconds).await?);
    }
    if wanted(Part::Storage) {
        add(storage::log_bytes(&stack).await?);
    }
    drop(stack);
    if wanted(Part::Memory) {
        // Memory that was used before would be used again.
        let stack = Stack::start(folder).await?;
        add(figures::memory(&stack).await?);
    }
    Ok(rows)
}
