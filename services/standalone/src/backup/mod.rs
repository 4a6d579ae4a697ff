//! `ingot backup` and `ingot restore`: all of a project in one stream, and back into a database of
//! its own.
//!
//! `frames` is the signed stream, `contents` what it says about itself, `target` the file; `make` and
//! `restore` go through its parts. What is in them is the migration service's to know, for the
//! platform's rows, and the api's, for the project's objects.

mod contents;
mod frames;
mod make;
mod meter;
mod restore;
mod target;

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use clap::Args;
use ingot_api::{BackupSettings, ProjectObjects};
use ingot_config::{Environment, Settings as _};
use ingot_migration::{BootstrapConfig, Source};
use ingot_project::{PoolSettings, Pools};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::fs;
use tokio::io::{AsyncRead, BufReader, BufWriter};

use self::make::Written;
use self::meter::Meter;
use self::target::Target;
use crate::console::progress;

/// Bytes between the program and a file.
const BUFFER: usize = 256 * 1024;

ingot_config::configuration! {
    /// What both commands are told by the environment.
    struct Config {
        /// The project, its database, and the owner of the platform's objects.
        bootstrap: BootstrapConfig;
        /// Where PostgreSQL's own programs are.
        backups: BackupSettings;
        /// Its connections to PostgreSQL.
        pools: PoolSettings;
    }
}

#[derive(Debug, Args)]
pub(crate) struct BackupArguments {
    /// Where to write it: a file that does not exist yet, or `-` for standard output
    target: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct RestoreArguments {
    /// The backup: a file, or `-` for standard input
    source: PathBuf,
    /// Take the place of a database that is not empty. It is kept, under another name
    #[arg(long)]
    overwrite: bool,
    /// Only read it, and say whether it is whole and as it was written
    #[arg(long, conflicts_with = "overwrite")]
    check: bool,
}

/// Writes a backup of the environment's project.
///
/// # Errors
/// The settings are unusable, the database or the programs of PostgreSQL cannot be used, or the
/// target cannot be written. No file is left that looks like a backup.
pub(crate) async fn back_up(
    arguments: BackupArguments,
    environment: &Environment,
) -> anyhow::Result<()> {
    let config = Config::load(environment)?;
    let target = arguments.target;
    let written = if is_stream(&target) {
        ensure!(
            !std::io::stdout().is_terminal(),
            "a backup is nothing for a terminal: name a file, or send standard output somewhere"
        );
        write(&config, tokio::io::stdout()).await?.1
    } else {
        write_file(&config, &target).await?
    };
    for schema in &written.left_out {
        progress(&format!(
            "left out: the schema {schema}, which the records API does not show"
        ));
    }
    progress(&format!(
        "{} written, with {} rows of the platform's tables and all of the project's",
        indicatif::HumanBytes(written.bytes),
        written.rows
    ));
    Ok(())
}

async fn write_file(config: &Config, path: &Path) -> anyhow::Result<Written> {
    let target = Target::begin(path)?;
    let (_, written) = write(config, fs::File::from_std(target.file()?)).await?;
    target.publish()?;
    Ok(written)
}

async fn write<W: tokio::io::AsyncWrite + Unpin>(
    config: &Config,
    output: W,
) -> anyhow::Result<(W, Written)> {
    let meter = Meter::new(None)?;
    let mut source = Source::open(&config.bootstrap).await?;
    let registry = config.bootstrap.registry.clone();
    let pools = Pools::new(registry.into(), config.pools.clone());
    let pools = pools.admin(&source.project().id)?;
    let objects = ProjectObjects::new(&config.backups);
    let output = BufWriter::with_capacity(BUFFER, output);
    let (output, written) = make::make(&mut source, &objects, &pools, output, &meter).await?;
    Ok((output.into_inner(), written))
}

/// Makes the environment's project of a backup, or reads through it.
///
/// # Errors
/// The backup is damaged or another project's, the database may not be replaced, or PostgreSQL
/// refuses. Nothing was changed then.
pub(crate) async fn restore(
    arguments: RestoreArguments,
    environment: &Environment,
) -> anyhow::Result<()> {
    let config = Config::load(environment)?;
    let source = arguments.source.as_path();
    if is_stream(source) {
        return read(&config, &arguments, tokio::io::stdin(), None).await;
    }
    let file = fs::File::open(source)
        .await
        .with_context(|| format!("{} cannot be read", source.display()))?;
    let length = file.metadata().await?.len();
    read(&config, &arguments, file, Some(length)).await
}

async fn read(
    config: &Config,
    arguments: &RestoreArguments,
    input: impl AsyncRead + Unpin,
    length: Option<u64>,
) -> anyhow::Result<()> {
    let name = match arguments.source.as_path() {
        source if is_stream(source) => "the backup".to_owned(),
        source => source.display().to_string(),
    };
    let meter = Meter::new(length)?;
    let Some(project) = config.bootstrap.registry.iter().next() else {
        bail!("the settings name no project");
    };
    let input = BufReader::with_capacity(BUFFER, input);
    let backup = restore::open(input, project, &meter)
        .await
        .with_context(|| name.clone())?;
    let about = format!(
        "of {}, taken {} with Ingot {} on PostgreSQL {}",
        backup.head.project, backup.head.taken_at, backup.head.ingot, backup.head.origin.postgresql
    );
    if arguments.check {
        backup.check().await.with_context(|| name.clone())?;
        drop(meter);
        progress(&format!("{name} is whole: {about}"));
        return Ok(());
    }
    let objects = ProjectObjects::new(&config.backups);
    let restored = backup
        .restore(
            &config.bootstrap,
            &config.pools,
            &objects,
            arguments.overwrite,
        )
        .await
        .with_context(|| name.clone())?;
    drop(meter);
    for table in &restored.left_out {
        progress(&format!(
            "left out: {table}, which this Ingot does not have"
        ));
    }
    progress(&format!(
        "restored {about}: {} rows of the platform's tables and all of the project's",
        restored.rows
    ));
    if let Some(kept) = &restored.kept {
        progress(&format!(
            "the database that was there is called {kept} now; when nothing of it is missed: \
             drop database \"{kept}\""
        ));
    }
    Ok(())
}

fn is_stream(path: &Path) -> bool {
    path == Path::new("-")
}

/// This moment, in UTC.
fn now() -> String {
    let now = OffsetDateTime::now_utc();
    now.replace_nanosecond(0)
        .unwrap_or(now)
        .format(&Rfc3339)
        .unwrap_or_default()
}
