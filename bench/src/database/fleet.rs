//! Many projects brought up by the fleet's command, which is killed half-way and started again.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::num::NonZeroUsize;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use ingot_config::Environment;
use ingot_migration::{Action, Fleet};
use ingot_testkit::{TestProject, test_servers};
use sqlx::{ConnectOptions as _, Connection as _};
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

use super::median;
use crate::child::Process;

/// Databases that are worked on at once, the command's default.
const CONCURRENCY: NonZeroUsize = NonZeroUsize::new(8).unwrap();

/// Projects that are brought up alone, for comparison.
const ALONE: usize = 5;

/// Pause between two looks at how far the command has come.
const LOOK: Duration = Duration::from_millis(20);

/// What one project takes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Figures {
    /// As one of many, over both runs of the command.
    pub(super) of_many: Duration,
    pub(super) alone: Duration,
}

/// Brings `size` new projects up on the servers of `host`.
pub(super) async fn measure(
    host: &TestProject,
    folder: &Path,
    size: usize,
) -> anyhow::Result<Figures> {
    let mut alone = Vec::new();
    for number in 0..ALONE {
        let folder = folder.join(format!("alone_{number}"));
        write(host, &folder, "alone", number..number + 1)?;
        alone.push(run(&folder).await?);
    }
    let folder = folder.join("fleet");
    write(host, &folder, "fleet", 0..size)?;
    let killed = kill_half_way(&folder, size).await?;
    let before = ledgers().await?;
    let done = before.values().filter(|steps| !steps.is_empty()).count();
    ensure!(done >= size / 2 && done < size, "{done} were begun");
    let resumed = run(&folder).await?;
    let after = ledgers().await?;
    let newest = usize::try_from(ingot_schema::latest_version())?;
    ensure!(after.len() == size, "{} are there", after.len());
    for (database, steps) in &after {
        ensure!(steps.len() == newest, "{database} has {}", steps.len());
        let then = before.get(database).map(Vec::as_slice).unwrap_or_default();
        ensure!(steps.starts_with(then), "{database} ran steps twice");
    }
    Ok(Figures {
        of_many: (killed + resumed) / u32::try_from(size)?,
        alone: median(alone)?,
    })
}

/// What the command does; it prints a line for each project.
#[allow(clippy::print_stdout, reason = "tells the other process how far it is")]
pub(crate) async fn bring_up(folder: &Path) -> anyhow::Result<()> {
    let fleet = Fleet::of_folder(folder, &Environment::default())?;
    let patience = Duration::from_secs(30);
    let never = CancellationToken::new();
    let reports = fleet
        .run(Action::Up { patience }, CONCURRENCY, &never, |report| {
            println!("{}", report.project);
            std::io::stdout().flush().ok();
        })
        .await;
    let unwell = reports.iter().find(|report| !report.state.is_current());
    ensure!(unwell.is_none(), "{unwell:?}");
    Ok(())
}

/// A file of settings for each project.
fn write(
    host: &TestProject,
    folder: &Path,
    name: &str,
    numbers: std::ops::Range<usize>,
) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder)?;
    for number in numbers {
        let name = format!("{name}_{number}");
        let own = host
            .environment()
            .with([("POSTGRES_DB", &name), ("INGOT_PROJECT", &name)]);
        let lines: Vec<_> = own
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        std::fs::write(folder.join(format!("{name}.env")), lines.join("\n"))?;
    }
    Ok(())
}

async fn run(folder: &Path) -> anyhow::Result<Duration> {
    let started = Instant::now();
    let ended = start(folder)?.ended().await?;
    ensure!(ended.success(), "{}", std::fs::read_to_string(log(folder))?);
    Ok(started.elapsed())
}

/// Kills the command, as `kill -9` does, when half of its projects are done.
async fn kill_half_way(folder: &Path, size: usize) -> anyhow::Result<Duration> {
    let started = Instant::now();
    let process = start(folder)?;
    while std::fs::read_to_string(log(folder))?.lines().count() < size / 2 {
        process.memory().context("the command ended early")?;
        tokio::time::sleep(LOOK).await;
    }
    process.kill().await?;
    Ok(started.elapsed())
}

fn start(folder: &Path) -> anyhow::Result<Process> {
    let argument = folder.display().to_string();
    Process::start_self(&["migrate-fleet", &argument], &[], &log(folder))
}

fn log(folder: &Path) -> std::path::PathBuf {
    folder.join("out")
}

type Ledger = Vec<(i64, OffsetDateTime)>;

/// The applied steps of every project of the fleet, and when they were applied.
async fn ledgers() -> anyhow::Result<BTreeMap<String, Ledger>> {
    let servers = test_servers().await?;
    let mut owner = servers.superuser_options("postgres").connect().await?;
    let names: Vec<String> =
        sqlx::query_scalar("select datname::text from pg_database where datname like 'fleet\\_%'")
            .fetch_all(&mut owner)
            .await?;
    owner.close().await?;
    let mut ledgers = BTreeMap::new();
    for name in names {
        let mut owner = servers.superuser_options(&name).connect().await?;
        let begun: bool =
            sqlx::query_scalar("select to_regclass('system.schema_steps') is not null")
                .fetch_one(&mut owner)
                .await?;
        let mut ledger = Ledger::new();
        if begun {
            ledger = sqlx::query_as(
                "select number::bigint, applied_at from system.schema_steps order by number",
            )
            .fetch_all(&mut owner)
            .await?;
        }
        owner.close().await?;
        ledgers.insert(name, ledger);
    }
    Ok(ledgers)
}
