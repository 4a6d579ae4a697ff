//! What `ingot-rest` takes while nobody asks: time until it is ready, and memory.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::ensure;
use ingot_testkit::TestProject;

use super::candidates::{address, start_rest};
use crate::report::{Section, milliseconds};

/// Tables of the schema.
const TABLES: usize = 100;
/// Starts; the median counts.
const STARTS: usize = 5;
/// How long it has nothing to do before its memory is looked at.
const REST: Duration = Duration::from_secs(3);
/// Longest wait for it to be ready.
const PATIENCE: Duration = Duration::from_secs(20);

pub(super) async fn measure(folder: &Path) -> anyhow::Result<Section> {
    let project = TestProject::create().await?;
    for number in 0..TABLES {
        let parent = number.saturating_sub(1);
        let table = format!(
            "create table public.t{number} (id bigint primary key, name text not null, \
             data jsonb, parent bigint references public.t{parent}, made timestamptz default now());
             grant all on public.t{number} to authenticated"
        );
        project.execute(&table).await?;
    }
    let mut starts = Vec::new();
    let mut memory = Vec::new();
    for _ in 0..STARTS {
        let (api, admin) = (address()?, address()?);
        let started = Instant::now();
        let process = start_rest(&project, api, Some(admin), folder)?;
        wait_until_ready(&format!("http://{admin}/ready"), started).await?;
        starts.push(started.elapsed());
        tokio::time::sleep(REST).await;
        memory.push(process.memory()?);
    }
    starts.sort();
    memory.sort_unstable();
    let ready = starts.get(STARTS / 2).copied();
    let memory = memory.get(STARTS / 2).copied().unwrap_or_default();
    Ok(Section {
        id: "records-idle",
        command: "records",
        title: "An idle records engine",
        text: format!(
            "`ingot-rest` on a schema of {TABLES} tables, {STARTS} starts, medians: from the start \
             of the process until `/ready` of its admin server answers 200, and resident memory \
             {} s later.",
            REST.as_secs()
        ),
        columns: &["what", "measured", "goal"],
        rows: vec![
            vec!["ready".to_owned(), milliseconds(ready), "150 ms".to_owned()],
            vec![
                "memory".to_owned(),
                format!("{:.1} MB", f64::from(u32::try_from(memory)?) / 1e6),
                "25 MB".to_owned(),
            ],
        ],
    })
}

async fn wait_until_ready(url: &str, started: Instant) -> anyhow::Result<()> {
    let client = reqwest::Client::new();
    loop {
        let answer = client.get(url).send().await;
        if answer.is_ok_and(|answer| answer.status().is_success()) {
            return Ok(());
        }
        ensure!(started.elapsed() < PATIENCE, "ingot-rest is not ready");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
