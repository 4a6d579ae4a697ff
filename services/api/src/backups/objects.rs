//! A project's own objects with their rows, out of one database and into another: its schemas, and
//! what it defined on tables of the platform. Everything runs as `project_admin` on the login of
//! administrators' SQL, so code of the project gets no other powers by being brought back.

use std::io::Cursor;
use std::process::Stdio;

use anyhow::{Context, ensure};
use bytes::{Bytes, BytesMut};
use ingot_project::{AdminPools, AdminSession, Project};
use sqlx::{AssertSqlSafe, query_scalar, raw_sql};
use tokio::io::AsyncReadExt;
use tokio::process::{Child, ChildStdout};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::restore::{empty, replay};
use super::script::Script;
use super::tools::{INSTALL, Tools};
use super::{BackupSettings, content};
use crate::advance::import::Import;

/// Bytes of a dump that are read at a time.
const PIECE: usize = 256 * 1024;

/// Bytes of a program's complaints that are read.
const MAX_COMPLAINT: u64 = 64 * 1024;

/// Reads and writes the objects of projects.
#[derive(Debug)]
pub struct ProjectObjects {
    tools: Tools,
}

/// What a project defined.
#[derive(Debug)]
pub struct Definitions {
    /// The schemas with its objects.
    pub schemas: Vec<String>,
    /// Its triggers on accounts and its policies on tables of the platform, as SQL.
    pub statements: String,
}

impl ProjectObjects {
    /// With the programs that the settings name.
    pub fn new(settings: &BackupSettings) -> Self {
        let tools = Tools::new(settings.tools.clone());
        Self { tools }
    }

    /// What the project defined, as the exported `snapshot` shows it.
    ///
    /// # Errors
    /// PostgreSQL cannot be reached or asked.
    pub async fn definitions(
        &self,
        pools: &AdminPools,
        snapshot: &str,
    ) -> anyhow::Result<Definitions> {
        let mut session = AdminSession::open(pools).await?;
        let connection = session.connection();
        // Digits and dashes; checked, for the statement takes no parameter.
        let plain = |b: u8| b.is_ascii_hexdigit() || b == b'-';
        ensure!(snapshot.bytes().all(plain), "{snapshot} is no snapshot");
        raw_sql(AssertSqlSafe(format!(
            "begin isolation level repeatable read read only;
             set transaction snapshot '{snapshot}';
             set local search_path = ''"
        )))
        .execute(&mut *connection)
        .await?;
        let statements = content::definitions(connection).await?;
        let schemas = query_scalar("select unnest(system.exposed_schemas())")
            .fetch_all(connection)
            .await?;
        session.close().await.ok();
        Ok(Definitions {
            schemas,
            statements: statements.iter().map(|it| it.clone() + ";\n").collect(),
        })
    }

    /// Begins a dump of these schemas in `pg_dump`'s own format.
    ///
    /// # Errors
    /// The program does not start.
    pub fn dump(
        &self,
        project: &Project,
        snapshot: &str,
        schemas: &[String],
    ) -> anyhow::Result<Dump> {
        let mut child = self
            .tools
            .dump(project, snapshot, schemas)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("pg_dump does not start: {INSTALL}"))?;
        let stdout = child.stdout.take().context("pg_dump has no output")?;
        let stderr = child.stderr.take();
        let complaint = tokio::spawn(async move {
            let mut complaint = String::new();
            if let Some(stderr) = stderr {
                let mut stderr = stderr.take(MAX_COMPLAINT);
                stderr.read_to_string(&mut complaint).await.ok();
            }
            complaint
        });
        Ok(Dump {
            child,
            stdout,
            complaint,
        })
    }

    /// Begins the transaction that brings objects back, into the database that `pools` lead to. It
    /// empties the project's schemas; extensions must be there.
    ///
    /// # Errors
    /// PostgreSQL cannot be reached, or refuses.
    pub async fn restore(&self, pools: &AdminPools) -> anyhow::Result<ObjectsRestore> {
        let (import, done) = empty(pools).await?;
        Ok(ObjectsRestore {
            import,
            tools: self.tools.clone(),
            done,
        })
    }
}

/// A dump that is being made.
#[derive(Debug)]
pub struct Dump {
    child: Child,
    stdout: ChildStdout,
    complaint: JoinHandle<String>,
}

impl Dump {
    /// The next piece; `None` at the end, which is only reached by a complete dump.
    ///
    /// # Errors
    /// The program failed: what it complains of.
    pub async fn next(&mut self) -> anyhow::Result<Option<Bytes>> {
        let mut piece = BytesMut::with_capacity(PIECE);
        if self.stdout.read_buf(&mut piece).await? > 0 {
            return Ok(Some(piece.freeze()));
        }
        let status = self.child.wait().await?;
        let complaint = (&mut self.complaint).await.unwrap_or_default();
        ensure!(status.success(), "pg_dump failed: {}", complaint.trim());
        Ok(None)
    }
}

/// The transaction that brings objects back. Unless it is [committed](Self::commit), nothing of it
/// lasts.
#[derive(Debug)]
pub struct ObjectsRestore {
    import: Import,
    tools: Tools,
    /// Statements of the dump that are left out.
    done: Vec<String>,
}

impl ObjectsRestore {
    /// Makes the objects of a dump, which comes in pieces until their sender is dropped.
    ///
    /// # Errors
    /// PostgreSQL refuses a statement, or the dump is damaged.
    pub async fn objects(&mut self, dump: mpsc::Receiver<Bytes>) -> anyhow::Result<()> {
        let script = Script::of_pieces(&self.tools, dump)?;
        Ok(replay(&mut self.import, script, &self.done).await?)
    }

    /// Makes what the project defined on tables of the platform.
    ///
    /// # Errors
    /// PostgreSQL refuses a statement.
    pub async fn definitions(&mut self, statements: Vec<u8>) -> anyhow::Result<()> {
        Ok(replay(&mut self.import, Cursor::new(statements), &self.done).await?)
    }

    /// Makes it last.
    ///
    /// # Errors
    /// PostgreSQL refuses, for a constraint that is checked at the end.
    pub async fn commit(self) -> anyhow::Result<()> {
        Ok(self.import.commit().await?)
    }
}
