//! Ingot against its peers, on the same machine and in the same run: `make bench`.
//!
//! A program, not a test: nothing fails when a figure is bad. Each comparison runs its candidates
//! in turns, several rounds, and takes medians; the results go to the terminal and into
//! `docs/benchmarks.md`.

mod child;
mod database;
mod edge;
mod files;
mod load;
mod nginx;
mod realtime;
mod records;
mod report;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};

/// The allocator of the edge, so that the edge measured here is the one that is deployed.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

#[derive(Debug, Parser)]
#[command(
    name = "ingot-bench",
    about = "Measures Ingot against nginx, pgbench, PostgreSQL's own clients and Node's socket.io"
)]
struct Arguments {
    #[command(subcommand)]
    what: What,
    /// Seconds per candidate and round
    #[arg(long, default_value_t = 10, global = true)]
    seconds: u64,
    /// Rounds; each candidate's median counts
    #[arg(long, default_value_t = 3, global = true)]
    rounds: usize,
    /// Leaves docs/benchmarks.md as it is
    #[arg(long, global = true)]
    dry_run: bool,
}

#[derive(Debug, Clone, Subcommand)]
enum What {
    /// Everything
    All,
    /// The edge and nginx: a small JSON answer, what connections cost, and large bodies
    Edge,
    /// The records API: engine, ingot-rest, edge and service, and the same by pgbench
    Records,
    /// Dumps and files of rows: through the api, and by psql, `\copy` and pg_dump
    Database {
        /// Size of the files that are imported
        #[arg(long, default_value_t = 200)]
        megabytes: usize,
        /// Rows that are exported
        #[arg(long, default_value_t = 1_000_000)]
        rows: usize,
        /// Projects that are migrated
        #[arg(long, default_value_t = 200)]
        projects: usize,
    },
    /// Part of `database`: the api service, told by its variables
    #[command(hide = true)]
    ServeApi,
    /// Part of `database`: what `ingot migrate up` does
    #[command(hide = true)]
    MigrateFleet {
        /// Has a file of settings for each project
        folder: std::path::PathBuf,
    },
    /// Messages to sockets: beside Node's socket.io server, in bursts, and what sockets cost
    Realtime {
        /// Only these
        #[arg(value_enum)]
        parts: Vec<realtime::Part>,
    },
    /// Part of `edge`: the service behind the proxies
    #[command(hide = true)]
    ServeBehind {
        /// Where it listens
        address: SocketAddr,
    },
    /// Part of `edge`: the edge, told by its variables
    #[command(hide = true)]
    ServeEdge,
    /// Part of `records`: the records service, told by its variables
    #[command(hide = true)]
    ServeRecords,
    /// Part of `realtime`: the relay, told by its variables
    #[command(hide = true)]
    ServeRelay,
    /// Part of `realtime`: the node, told by its variables
    #[command(hide = true)]
    ServeFanout,
    /// Part of `realtime`: write calls and nothing else
    #[command(hide = true)]
    ServeWrites {
        /// Where it listens
        address: SocketAddr,
    },
}

/// How long and how often each candidate is measured.
#[derive(Debug, Clone, Copy)]
struct Plan {
    length: Duration,
    rounds: usize,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match &arguments.what {
        // The services' own frame, exactly as their `main.rs` runs it.
        What::ServeEdge => ingot_telemetry::run("ingot-edge", ingot_edge::serve),
        What::ServeRecords => {
            ingot_telemetry::run("ingot-records-proxy", ingot_records_proxy::serve)
        }
        What::ServeRelay => ingot_telemetry::run("ingot-listen-relay", ingot_listen_relay::serve),
        What::ServeFanout => {
            ingot_telemetry::run("ingot-realtime-fanout", ingot_realtime_fanout::serve)
        }
        What::ServeWrites { address } => exit_code(realtime::serve_writes(*address)),
        What::MigrateFleet { folder } => exit_code(in_runtime(database::bring_up(folder))),
        What::ServeBehind { address } => exit_code(in_runtime(edge::serve_behind(*address))),
        What::ServeApi => ingot_telemetry::run("ingot-api", ingot_api::serve),
        What::All | What::Edge | What::Records | What::Database { .. } | What::Realtime { .. } => {
            exit_code(in_runtime(compare(&arguments)))
        }
    }
}

async fn compare(arguments: &Arguments) -> anyhow::Result<()> {
    let plan = Plan {
        length: Duration::from_secs(arguments.seconds.max(1)),
        rounds: arguments.rounds.max(1),
    };
    let mut sections = Vec::new();
    if matches!(arguments.what, What::All | What::Edge) {
        sections.extend(edge::compare(plan).await?);
    }
    if matches!(arguments.what, What::All | What::Records) {
        sections.extend(records::compare(plan).await?);
    }
    if let Some(size) = database_size(arguments) {
        sections.push(database::compare(size).await?);
    }
    match &arguments.what {
        What::All => sections.push(realtime::compare(plan, &[]).await?),
        What::Realtime { parts } => sections.push(realtime::compare(plan, parts).await?),
        _ => {}
    }
    for section in &sections {
        report::print(section);
    }
    if !arguments.dry_run {
        report::write(&sections)?;
    }
    Ok(())
}

/// What the comparison of dumps has to carry, if it is wanted.
fn database_size(arguments: &Arguments) -> Option<database::Size> {
    let (megabytes, rows, projects) = match arguments.what {
        What::Database {
            megabytes,
            rows,
            projects,
        } => (megabytes, rows, projects),
        What::All => (200, 1_000_000, 200),
        _ => return None,
    };
    Some(database::Size {
        megabytes: megabytes.max(1),
        rows: rows.max(1),
        projects: projects.max(10),
        rounds: arguments.rounds.max(1),
    })
}

fn in_runtime<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(work)
}

#[allow(
    clippy::print_stderr,
    reason = "a program for people tells them what went wrong"
)]
fn exit_code(result: anyhow::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ingot-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}
