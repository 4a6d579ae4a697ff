//! Dumps and files of rows in and out of a database, against PostgreSQL's own clients; and how long
//! the guard and the introspection take.

mod files;
mod fleet;
mod peers;
mod scripts;
mod service;

use std::time::Duration;

use anyhow::Context;
use ingot_testkit::TestProject;

use crate::report::Section;
use files::Files;
pub(crate) use fleet::bring_up;
use peers::Peer;
use service::Api;

/// Tables that the introspection lists.
const TABLES: usize = 1000;

const TABLE: &str = "create table public.bench_rows (
    id bigint primary key, name text not null, amount numeric(12, 2), at timestamptz, note text)";

/// What is measured in one run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    /// Of the files that are imported.
    pub(crate) megabytes: usize,
    /// Of the table that is exported.
    pub(crate) rows: usize,
    /// Of the fleet that is migrated.
    pub(crate) projects: usize,
    pub(crate) rounds: usize,
}

/// How long something took, and what it cost the service.
#[derive(Debug, Clone, Copy)]
struct Sample {
    took: Duration,
    /// Until the first byte of the answer.
    first: Option<Duration>,
    /// Peak of the resident memory above what it was before, in bytes.
    growth: u64,
}

pub(crate) async fn compare(size: Size) -> anyhow::Result<Section> {
    let project = TestProject::create().await?;
    let folder = tempfile::tempdir()?;
    let stage = Stage {
        api: Api::start(&project, folder.path()).await?,
        peer: Peer::new(&project, folder.path()),
        project,
        rounds: size.rounds,
    };
    let files = Files::write(folder.path(), size.megabytes)?;
    let mut rows = stage.imports(&files).await?;
    drop(files);
    rows.extend(stage.exports(size.rows).await?);
    for (name, sql) in scripts::all() {
        let took = scripts::judge(&sql, size.rounds).await?;
        rows.push(alone(&format!("guard, 1 MB of {name}"), took));
    }
    rows.extend(stage.introspection().await?);
    let fleet = fleet::measure(&stage.project, folder.path(), size.projects).await?;
    rows.push(vec![
        format!("each of {} projects migrated, one alone", size.projects),
        seconds(fleet.of_many),
        nothing(),
        seconds(fleet.alone),
        ratio(fleet.alone, fleet.of_many),
        nothing(),
    ]);
    Ok(section(size, rows))
}

/// Both sides, on one database.
struct Stage {
    project: TestProject,
    api: Api,
    peer: Peer,
    rounds: usize,
}

impl Stage {
    /// Files into an empty table.
    async fn imports(&self, files: &Files) -> anyhow::Result<Vec<Vec<String>>> {
        let mut rows = Vec::new();
        for (name, dump) in [
            ("import of a dump with `COPY`, `psql`", &files.copy),
            ("import of a dump with `INSERT`, `psql`", &files.inserts),
        ] {
            let (mut ours, mut theirs) = (Vec::new(), Vec::new());
            for _ in 0..self.rounds {
                reset(&self.project).await?;
                let path = "/api/database/advance/import";
                ours.push(self.api.upload(path, dump, &[]).await?);
                reset(&self.project).await?;
                theirs.push(self.peer.psql_file(dump).await?);
            }
            rows.push(row(name, (ours, theirs))?);
        }
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..self.rounds {
            reset(&self.project).await?;
            let (path, fields) = (
                "/api/database/advance/bulk-upsert",
                [("table", "bench_rows")],
            );
            ours.push(self.api.upload(path, &files.csv, &fields).await?);
            reset(&self.project).await?;
            theirs.push(self.peer.copy_in(&files.csv).await?);
        }
        rows.push(row("bulk upsert of a CSV, `\\copy`", (ours, theirs))?);
        Ok(rows)
    }

    /// A table with so many rows into files.
    async fn exports(&self, count: usize) -> anyhow::Result<Vec<Vec<String>>> {
        const TABLE: &str = r#"{"tables":["bench_rows"]}"#;
        fill(&self.project, count).await?;
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..self.rounds {
            ours.push(self.api.export("text/csv", TABLE).await?);
            theirs.push(self.peer.copy_out().await?);
        }
        let csv = row("export of rows as CSV, `\\copy`", (ours, theirs))?;
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..self.rounds {
            ours.push(self.api.export("application/sql", TABLE).await?);
            theirs.push(self.peer.pg_dump().await?);
        }
        Ok(vec![csv, row("export as SQL, `pg_dump`", (ours, theirs))?])
    }

    async fn introspection(&self) -> anyhow::Result<Vec<Vec<String>>> {
        make_tables(&self.project).await?;
        let mut rows = Vec::new();
        for path in ["tables", "indexes", "policies"] {
            let path = format!("/api/database/{path}");
            let mut times = Vec::new();
            for _ in 0..self.rounds {
                times.push(self.api.get(&path).await?);
            }
            let name = format!("`GET {path}` of {TABLES} tables");
            rows.push(alone(&name, median(times)?));
        }
        Ok(rows)
    }
}

fn section(size: Size, rows: Vec<Vec<String>>) -> Section {
    Section {
        id: "database",
        command: "database",
        title: "Dumps and files of rows",
        text: format!(
            "Files of {} MB into an empty table, by upload, against `psql --file` and `\\copy` with \
             the same file; {} rows out as a stream, against `\\copy` and `pg_dump`. {} rounds in \
             turns, medians. Memory is how far the resident memory of the api service grew above \
             what it was before, at its highest. `ingot migrate up` brings {} new projects up, 8 at a \
             time; it is killed (`kill -9`) when half of them are done and started again, no step runs \
             twice, and the time of both runs is divided by the projects.",
            size.megabytes, size.rows, size.rounds, size.projects
        ),
        columns: &[
            "what",
            "Ingot",
            "first byte",
            "peer",
            "speed vs peer",
            "memory",
        ],
        rows,
    }
}

fn row(name: &str, (ours, theirs): (Vec<Sample>, Vec<Duration>)) -> anyhow::Result<Vec<String>> {
    let took = median(ours.iter().map(|sample| sample.took).collect())?;
    let first = median(ours.iter().filter_map(|sample| sample.first).collect()).ok();
    let growth = ours.iter().map(|sample| sample.growth).max().unwrap_or(0);
    let peer = median(theirs)?;
    Ok(vec![
        name.to_owned(),
        seconds(took),
        first.map_or_else(nothing, seconds),
        seconds(peer),
        ratio(peer, took),
        format!("{} MB", growth / 1_000_000),
    ])
}

fn ratio(peer: Duration, took: Duration) -> String {
    format!("{:.2}", peer.as_secs_f64() / took.as_secs_f64())
}

fn nothing() -> String {
    "–".to_owned()
}

fn alone(name: &str, took: Duration) -> Vec<String> {
    let took = crate::report::milliseconds(Some(took));
    vec![
        name.to_owned(),
        took,
        nothing(),
        nothing(),
        nothing(),
        nothing(),
    ]
}

fn seconds(time: Duration) -> String {
    format!("{:.2} s", time.as_secs_f64())
}

fn median(mut times: Vec<Duration>) -> anyhow::Result<Duration> {
    times.sort_unstable();
    let middle = times.len() / 2;
    times.get(middle).copied().context("nothing was measured")
}

/// An empty table.
async fn reset(project: &TestProject) -> anyhow::Result<()> {
    project
        .execute("drop table if exists public.bench_rows")
        .await?;
    project.execute(TABLE).await?;
    project
        .execute("alter table public.bench_rows owner to project_admin")
        .await?;
    project.execute("checkpoint").await
}

async fn fill(project: &TestProject, rows: usize) -> anyhow::Result<()> {
    reset(project).await?;
    project
        .execute(&format!(
            "insert into public.bench_rows
             select n, 'name of ' || n, n / 100.0, now(), 'row ' || n || ': it''s a note; with some text'
             from generate_series(1, {rows}) as n"
        ))
        .await?;
    project.execute("vacuum analyze public.bench_rows").await
}

async fn make_tables(project: &TestProject) -> anyhow::Result<()> {
    project
        .execute(&format!(
            "do $$ begin for n in 1..{TABLES} loop
                 execute format('create table public.many_%s (id int primary key, name text unique)', n);
                 execute format('alter table public.many_%s enable row level security', n);
                 execute format('create policy p on public.many_%s using (name = current_user)', n);
                 execute format('alter table public.many_%s owner to project_admin', n);
             end loop; end $$"
        ))
        .await
}
