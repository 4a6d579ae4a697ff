//! PostgreSQL's own clients, doing the same as the same role.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use ingot_project::LoginRole;
use ingot_testkit::TestProject;
use tokio::process::Command;

pub(super) struct Peer {
    url: String,
    output: PathBuf,
}

impl Peer {
    pub(super) fn new(project: &TestProject, folder: &Path) -> Self {
        let project = project.project();
        let database = &project.database;
        Self {
            url: format!(
                "postgresql://{}:{}@{}:{}/{}?sslmode=disable&options=-crole%3Dproject_admin",
                LoginRole::Sql.name(&project.id),
                project.login_password(LoginRole::Sql).expose(),
                database.host,
                database.port,
                database.name
            ),
            output: folder.join("peer.out"),
        }
    }

    /// In one transaction, as an import is.
    pub(super) async fn psql_file(&self, file: &Path) -> anyhow::Result<Duration> {
        self.psql(&[
            "--single-transaction",
            "--file",
            &file.display().to_string(),
        ])
        .await
    }

    pub(super) async fn copy_in(&self, file: &Path) -> anyhow::Result<Duration> {
        let copy = format!(
            "\\copy public.bench_rows from '{}' with (format csv, header)",
            file.display()
        );
        self.psql(&["--command", &copy]).await
    }

    pub(super) async fn copy_out(&self) -> anyhow::Result<Duration> {
        let copy = format!(
            "\\copy public.bench_rows to '{}' with (format csv, header)",
            self.output.display()
        );
        self.psql(&["--command", &copy]).await
    }

    pub(super) async fn pg_dump(&self) -> anyhow::Result<Duration> {
        let output = self.output.display().to_string();
        let arguments = ["--table=public.bench_rows", "--file", &output];
        self.run("pg_dump", &arguments).await
    }

    async fn psql(&self, arguments: &[&str]) -> anyhow::Result<Duration> {
        let common = ["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1"];
        self.run("psql", &[&common, arguments].concat()).await
    }

    async fn run(&self, program: &str, arguments: &[&str]) -> anyhow::Result<Duration> {
        let started = Instant::now();
        let status = Command::new(program)
            .args(arguments)
            .args(["--dbname", &self.url])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .status()
            .await
            .with_context(|| format!("{program} is not installed"))?;
        ensure!(status.success(), "{program} failed");
        Ok(started.elapsed())
    }
}
