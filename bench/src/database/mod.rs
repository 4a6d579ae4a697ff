//! Dumps and files of rows in and out of a database, against PostgreSQL's own clients; and how long
//! the guard and the introspection take.

mod peers;
mod service;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use ingot_sql_guard::{Guard, Profile};
use ingot_testkit::TestProject;

use crate::report::Section;
use peers::Peer;
use service::Api;

/// Bytes of a row in the files, about.
const ROW: usize = 100;

/// Rows of one `INSERT` of the dump, as `pg_dump --rows-per-insert` writes them.
const ROWS_PER_INSERT: usize = 100;

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
    let api = Api::start(&project, folder.path()).await?;
    let peer = Peer::new(&project, folder.path());
    let files = Files::write(folder.path(), size)?;
    let mut rows = Vec::new();

    rows.push(row("import of a SQL dump, `psql`", {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..size.rounds {
            reset(&project).await?;
            ours.push(
                api.upload("/api/database/advance/import", &files.dump, &[])
                    .await?,
            );
            reset(&project).await?;
            theirs.push(peer.psql_file(&files.dump).await?);
        }
        (ours, theirs)
    })?);
    rows.push(row("bulk upsert of a CSV, `\\copy`", {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..size.rounds {
            reset(&project).await?;
            let fields = [("table", "bench_rows")];
            ours.push(
                api.upload("/api/database/advance/bulk-upsert", &files.csv, &fields)
                    .await?,
            );
            reset(&project).await?;
            theirs.push(peer.copy_in(&files.csv).await?);
        }
        (ours, theirs)
    })?);
    fill(&project, size.rows).await?;
    rows.push(row("export of rows as CSV, `\\copy`", {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..size.rounds {
            ours.push(
                api.export("text/csv", r#"{"tables":["bench_rows"]}"#)
                    .await?,
            );
            theirs.push(peer.copy_out().await?);
        }
        (ours, theirs)
    })?);
    rows.push(row("export as SQL, `pg_dump`", {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..size.rounds {
            ours.push(
                api.export("application/sql", r#"{"tables":["bench_rows"]}"#)
                    .await?,
            );
            theirs.push(peer.pg_dump().await?);
        }
        (ours, theirs)
    })?);
    rows.push(alone("guard, 1 MB of SQL", guard(size.rounds).await?));
    make_tables(&project).await?;
    for path in [
        "/api/database/tables",
        "/api/database/indexes",
        "/api/database/policies",
    ] {
        let mut times = Vec::new();
        for _ in 0..size.rounds {
            times.push(api.get(path).await?);
        }
        rows.push(alone(
            &format!("`GET {path}` of {TABLES} tables"),
            median(times)?,
        ));
    }
    Ok(section(size, rows))
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
             what it was before, at its highest.",
            size.megabytes, size.rows, size.rounds
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
        first.map_or_else(|| "–".to_owned(), seconds),
        seconds(peer),
        format!("{:.2}", peer.as_secs_f64() / took.as_secs_f64()),
        format!("{} MB", growth / 1_000_000),
    ])
}

fn alone(name: &str, took: Duration) -> Vec<String> {
    let nothing = || "–".to_owned();
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

/// The files that both sides take.
struct Files {
    dump: PathBuf,
    csv: PathBuf,
}

impl Files {
    fn write(folder: &Path, size: Size) -> anyhow::Result<Self> {
        use std::io::Write as _;
        let files = Self {
            dump: folder.join("dump.sql"),
            csv: folder.join("rows.csv"),
        };
        let rows = size.megabytes * 1_000_000 / ROW;
        let mut dump = std::io::BufWriter::new(std::fs::File::create(&files.dump)?);
        let mut csv = std::io::BufWriter::new(std::fs::File::create(&files.csv)?);
        writeln!(csv, "id,name,amount,at,note")?;
        for id in 0..rows {
            let amount = format!("{}.{:02}", id % 100_000, id % 100);
            let note = format!("row {id}: it''s a note; with some text");
            let head = if id % ROWS_PER_INSERT == 0 {
                "INSERT INTO public.bench_rows VALUES\n"
            } else {
                ""
            };
            let tail = if (id + 1) % ROWS_PER_INSERT == 0 || id + 1 == rows {
                ";"
            } else {
                ","
            };
            writeln!(
                dump,
                "{head}({id}, 'name of {id}', {amount}, '2026-01-31 09:05:00.123456+00', '{note}'){tail}"
            )?;
            let note = note.replace("''", "'");
            writeln!(
                csv,
                "{id},name of {id},{amount},2026-01-31 09:05:00.123456+00,{note}"
            )?;
        }
        dump.flush()?;
        csv.flush()?;
        Ok(files)
    }
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

/// Ordinary statements, one after the other.
async fn guard(rounds: usize) -> anyhow::Result<Duration> {
    let statement = "INSERT INTO public.orders (id, note) SELECT n, 'it''s ' || n FROM \
        generate_series(1, 10) AS n WHERE n > 5 AND EXISTS (SELECT 1 FROM public.items);\n";
    let sql = statement.repeat(1_000_000 / statement.len());
    let guard = Guard::new(1);
    let mut times = Vec::new();
    for _ in 0..rounds {
        let started = Instant::now();
        let script = guard.check(Profile::RawSql, sql.clone()).await?;
        times.push(started.elapsed());
        ensure!(!script.statements.is_empty(), "the guard saw nothing");
    }
    median(times)
}
