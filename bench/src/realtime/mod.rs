//! Realtime: what a delivery costs beside Node's socket.io server, how long a message takes, whether
//! bursts arrive whole, and what sockets cost.
//!
//! [`socket`] is the client, [`stack`] what is measured, [`figures`] the measurements.

mod figures;
mod socket;
mod stack;

use crate::Plan;
use crate::report::Section;
use stack::{Peer, Stack};

/// Measures everything once; `plan` says how long.
pub(crate) async fn compare(plan: Plan) -> anyhow::Result<Section> {
    figures::raise_file_limit();
    let folder = tempfile::tempdir()?;
    let peer = Peer::start(folder.path()).await?;
    let mut rows = Vec::new();
    let seconds = u32::try_from(plan.length.as_secs())?.max(1);
    {
        let stack = Stack::start(folder.path()).await?;
        rows.extend(figures::latency(&stack, seconds).await?);
        rows.extend(figures::bursts(&stack).await?);
        rows.push(figures::join_storm(&stack).await?);
        rows.extend(figures::cost(&stack, &peer, seconds).await?);
    }
    // Memory that was used before would be used again.
    let stack = Stack::start(folder.path()).await?;
    rows.extend(figures::memory(&stack).await?);
    Ok(Section {
        id: "realtime",
        command: "realtime",
        title: "Realtime",
        text: format!(
            "Messages are published by SQL and go through relay, NATS, one node and one edge to \
             clients on loopback, which read frames and nothing else. The peer is Node's socket.io \
             server (npm), which broadcasts by itself, to clients that are connected to it directly. \
             CPU is user and system time of the node, and of the peer. {seconds} s for each rate."
        ),
        columns: &["figure", "Ingot", "socket.io", "goal"],
        rows,
    })
}
