//! PostgreSQL's own programs, and how they are started.

use std::path::PathBuf;

use ingot_project::{LoginRole, Project};
use sqlx::postgres::PgSslMode;
use tokio::process::Command;

/// What to do when a program does not start.
pub(super) const INSTALL: &str = "install PostgreSQL's client programs (Debian: apt-get install \
    postgresql-client), no older than the server, or name their folder in INGOT_PG_TOOLS_DIR";

/// Where the programs are.
#[derive(Debug, Clone)]
pub(super) struct Tools {
    folder: Option<PathBuf>,
}

impl Tools {
    /// Those of a folder, or those of `PATH`.
    pub(super) fn new(folder: Option<PathBuf>) -> Self {
        Self { folder }
    }

    fn named(&self, name: &str) -> PathBuf {
        match &self.folder {
            Some(folder) => folder.join(name),
            None => PathBuf::from(name),
        }
    }

    /// `pg_dump` of these schemas, as the login of administrators' SQL, which can read nothing that
    /// they cannot. It shows the database as `snapshot` does.
    pub(super) fn dump(&self, project: &Project, snapshot: &str, schemas: &[String]) -> Command {
        let mut command = Command::new(self.named("pg_dump"));
        command
            .args([
                "--format=custom",
                "--no-owner",
                "--role=project_admin",
                "--no-password",
            ])
            .args([
                "--lock-wait-timeout=30s",
                "--no-security-labels",
                "--no-tablespaces",
            ])
            .arg(format!("--snapshot={snapshot}"));
        for schema in schemas {
            // In quotes, a name is no pattern.
            command.arg(format!("--schema=\"{}\"", schema.replace('"', "\"\"")));
        }
        with_connection(&mut command, project);
        command
    }

    /// `pg_restore`, which prints what a dump says as a script.
    pub(super) fn script(&self) -> std::process::Command {
        let mut command = std::process::Command::new(self.named("pg_restore"));
        command.args(["--no-owner", "--file=-"]);
        command
    }
}

/// Tells a program of PostgreSQL where to go. The password is in its environment, which only its
/// user sees.
fn with_connection(command: &mut Command, project: &Project) {
    let database = &project.database;
    let path = std::env::var_os("PATH").unwrap_or_default();
    command
        .env_clear()
        .env("PATH", path)
        .env("LC_ALL", "C.UTF-8")
        .env("PGHOST", &database.host)
        .env("PGPORT", database.port.to_string())
        .env("PGDATABASE", &database.name)
        .env("PGUSER", LoginRole::Sql.name(&project.id))
        .env(
            "PGPASSWORD",
            project.login_password(LoginRole::Sql).expose(),
        )
        .env("PGAPPNAME", "ingot-backup")
        .env("PGCONNECT_TIMEOUT", "10")
        .env(
            "PGSSLMODE",
            match database.tls {
                PgSslMode::Disable => "disable",
                PgSslMode::Allow => "allow",
                PgSslMode::Prefer => "prefer",
                PgSslMode::Require => "require",
                PgSslMode::VerifyCa => "verify-ca",
                PgSslMode::VerifyFull => "verify-full",
            },
        );
}
