//! The files of a backup, a folder for each:
//!
//! - `objects.dump`: the project's schemas, in `pg_dump`'s own format
//! - `platform.sql`: its rows in platform tables, for an administrator to write
//! - `definitions.sql`: what it defined on platform tables
//! - `services.sql`: its rows that services write
//!
//! All of them show the database at one moment.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, ensure};
use ingot_project::{AdminPools, AdminSession, Project};
use sqlx::{query_scalar, raw_sql};
use tokio::fs;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufWriter};

use super::Backups;
use super::content::{self, SERVICES, SHARED};
use super::tools::INSTALL;

pub(super) const OBJECTS: &str = "objects.dump";
pub(super) const PLATFORM: &str = "platform.sql";
pub(super) const DEFINITIONS: &str = "definitions.sql";
pub(super) const SERVICE_ROWS: &str = "services.sql";

/// What a folder is called while it is written.
const UNFINISHED: &str = ".unfinished-";

/// Longest time of one run of `pg_dump`.
const DUMP_LIMIT: Duration = Duration::from_hours(2);

/// Bytes of a tool's complaints that are read.
const MAX_COMPLAINT: u64 = 64 * 1024;

const BEGIN: &str = "begin isolation level repeatable read read only;
    set local statement_timeout = 0;
    set local idle_in_transaction_session_timeout = 0;
    set local search_path = ''";

impl Backups {
    /// The folder of a project's backups.
    fn of(&self, project: &Project) -> PathBuf {
        self.folder.join(project.id.as_str())
    }

    /// Writes a backup and returns its size in bytes.
    ///
    /// # Errors
    /// What went wrong, for administrators; nothing is left of it.
    pub(super) async fn write(
        &self,
        project: &Project,
        pools: &AdminPools,
        key: &str,
    ) -> anyhow::Result<u64> {
        let folder = self.of(project);
        let unfinished = folder.join(format!("{UNFINISHED}{key}"));
        let made = async {
            make_private(&unfinished).await?;
            let mut session = AdminSession::open(pools).await?;
            raw_sql(BEGIN).execute(session.connection()).await?;
            let written = self.write_files(project, &mut session, &unfinished).await;
            session.close().await.ok();
            written?;
            let size = sync(&unfinished).await?;
            fs::rename(&unfinished, folder.join(key)).await?;
            anyhow::Ok(size)
        }
        .await;
        if made.is_err() {
            fs::remove_dir_all(&unfinished).await.ok();
        }
        made
    }

    async fn write_files(
        &self,
        project: &Project,
        session: &mut AdminSession,
        folder: &Path,
    ) -> anyhow::Result<()> {
        let connection = session.connection();
        let mut platform = BufWriter::new(fs::File::create(folder.join(PLATFORM)).await?);
        for shared in SHARED {
            content::write_rows(connection, shared.table, shared.waiting, &mut platform).await?;
        }
        platform.flush().await?;
        let mut services = BufWriter::new(fs::File::create(folder.join(SERVICE_ROWS)).await?);
        for table in SERVICES {
            content::write_rows(connection, table, table, &mut services).await?;
        }
        services.flush().await?;
        let definitions = content::definitions(connection).await?;
        let definitions: String = definitions.iter().map(|it| it.clone() + ";\n").collect();
        fs::write(folder.join(DEFINITIONS), definitions).await?;
        let snapshot: String = query_scalar("select pg_catalog.pg_export_snapshot()")
            .fetch_one(&mut *connection)
            .await?;
        let schemas: Vec<String> = query_scalar("select unnest(system.exposed_schemas())")
            .fetch_all(connection)
            .await?;
        self.dump(project, &snapshot, &schemas, &folder.join(OBJECTS))
            .await
    }

    async fn dump(
        &self,
        project: &Project,
        snapshot: &str,
        schemas: &[String],
        file: &Path,
    ) -> anyhow::Result<()> {
        let file = fs::File::create(file).await?.into_std().await;
        let mut child = self
            .tools
            .dump(project, snapshot, schemas)
            .stdin(Stdio::null())
            .stdout(file)
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("pg_dump does not start: {INSTALL}"))?;
        let mut complaint = String::new();
        let running = async {
            if let Some(stderr) = child.stderr.take() {
                let mut stderr = stderr.take(MAX_COMPLAINT);
                stderr.read_to_string(&mut complaint).await.ok();
            }
            child.wait().await
        };
        let status = tokio::time::timeout(DUMP_LIMIT, running)
            .await
            .context("pg_dump was stopped after two hours")??;
        ensure!(status.success(), "pg_dump failed: {}", complaint.trim());
        Ok(())
    }

    /// A file of a backup.
    pub(super) fn file(
        &self,
        project: &Project,
        key: &str,
        name: &str,
    ) -> io::Result<std::fs::File> {
        std::fs::File::open(self.of(project).join(key).join(name))
    }

    /// Removes a backup's files; that there are none is fine.
    pub(super) async fn remove(&self, project: &Project, key: &str) -> io::Result<()> {
        match fs::remove_dir_all(self.of(project).join(key)).await {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }

    /// Removes what interrupted backups left. For whoever may write backups now.
    pub(super) async fn sweep(&self, project: &Project) -> io::Result<()> {
        let folder = self.of(project);
        let mut entries = match fs::read_dir(&folder).await {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            other => other?,
        };
        while let Some(entry) = entries.next_entry().await? {
            if entry.file_name().to_string_lossy().starts_with(UNFINISHED) {
                fs::remove_dir_all(entry.path()).await?;
            }
        }
        Ok(())
    }
}

/// A folder that nobody else reads: backups have passwords' hashes.
async fn make_private(folder: &Path) -> anyhow::Result<()> {
    let shown = || {
        format!(
            "the folder {} cannot be made: set INGOT_BACKUP_DIR",
            folder.display()
        )
    };
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true).mode(0o700);
    builder.create(folder).await.with_context(shown)
}

/// Makes the files last, and adds up their sizes.
async fn sync(folder: &Path) -> io::Result<u64> {
    let mut size = 0;
    for name in [OBJECTS, PLATFORM, DEFINITIONS, SERVICE_ROWS] {
        let file = fs::File::open(folder.join(name)).await?;
        file.sync_all().await?;
        size += file.metadata().await?.len();
    }
    Ok(size)
}
