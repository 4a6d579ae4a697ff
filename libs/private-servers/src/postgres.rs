//! The PostgreSQL cluster: set up once, started and stopped without `pg_ctl`.

use std::fs::File;
use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::account::Account;
use crate::credentials::{Credentials, write_private};
use crate::error::Trying;
use crate::place::Place;
use crate::ports::{lasting_port, port_at};
use crate::process::{Running, log_tail};
use crate::{Error, Keep, programs};

/// Where it has an address to itself.
const USUAL_PORT: u16 = 5432;

/// Who may connect besides this machine.
const NEIGHBOURS: &str = "host all all samenet scram-sha-256\n";

/// The cluster's superuser.
pub(crate) const SUPERUSER: &str = "postgres";

const INITDB_PATIENCE: Duration = Duration::from_mins(2);
/// Crash recovery of a kept cluster may take a while.
const START_PATIENCE: Duration = Duration::from_mins(2);
const STOP_PATIENCE: Duration = Duration::from_secs(30);
const START_ATTEMPTS: u32 = 3;

/// Settings of every private cluster. `wal_level` lets change feeds be built on it, commit times
/// let the relay catch up in commit order; the memory settings suit a laptop.
const SETTINGS: [(&str, &str); 13] = [
    ("unix_socket_directories", ""),
    ("password_encryption", "scram-sha-256"),
    ("max_connections", "200"),
    ("shared_buffers", "32MB"),
    ("huge_pages", "off"),
    ("wal_level", "logical"),
    ("track_commit_timestamp", "on"),
    ("max_wal_size", "512MB"),
    ("max_wal_senders", "10"),
    ("max_replication_slots", "10"),
    ("jit", "off"),
    ("timezone", "UTC"),
    ("log_timezone", "UTC"),
];

/// Settings that give up safety after a crash for speed.
const THROW_AWAY_SETTINGS: [(&str, &str); 4] = [
    ("fsync", "off"),
    ("synchronous_commit", "off"),
    ("full_page_writes", "off"),
    ("max_connections", "300"),
];

/// A private PostgreSQL cluster.
#[derive(Debug)]
pub struct Postgres {
    /// Where its programs are; `None` finds some.
    programs: Option<PathBuf>,
    folder: PathBuf,
    keep: Keep,
    account: Account,
    place: Place,
    port: u16,
    password: String,
    running: Option<Running>,
}

impl Postgres {
    pub(crate) async fn start(
        programs: Option<&Path>,
        folder: &Path,
        keep: Keep,
        account: Account,
        credentials: &Credentials,
        place: &Place,
    ) -> Result<Self, Error> {
        let mut postgres = Self {
            programs: programs.map(Path::to_owned),
            folder: folder.to_owned(),
            keep,
            account,
            place: place.clone(),
            port: 0,
            password: credentials.postgres_password.clone(),
            running: None,
        };
        if !postgres.data().exists() {
            postgres.create_cluster().await?;
        }
        let wish =
            (keep == Keep::Data).then(|| credentials.postgres_port.unwrap_or_else(lasting_port));
        let mut attempt = 1;
        loop {
            // Between the choice and the start somebody else may take the port: choose again.
            postgres.port = port_at(place, wish, USUAL_PORT)
                .trying("find a port for", Path::new("PostgreSQL"))?;
            match postgres.launch().await {
                Err(Error::DidNotStart { .. }) if attempt < START_ATTEMPTS => attempt += 1,
                Err(error) => return Err(error),
                Ok(()) => return Ok(postgres),
            }
        }
    }

    /// Where it listens, with [`Postgres::port`].
    pub fn address(&self) -> IpAddr {
        self.place.address()
    }

    /// Port on its address.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Name of the superuser.
    pub fn superuser(&self) -> &'static str {
        SUPERUSER
    }

    /// Password of the superuser.
    pub fn password(&self) -> &str {
        &self.password
    }

    /// Connection URL of the superuser to `database`, a plain name without reserved characters.
    pub fn url(&self, database: &str) -> String {
        format!(
            "postgres://{SUPERUSER}:{}@{}/{database}",
            self.password,
            SocketAddr::new(self.address(), self.port)
        )
    }

    /// Folder with `psql`, `pgbench` and the like, of the version that runs.
    ///
    /// # Errors
    /// PostgreSQL was uninstalled meanwhile.
    pub fn programs(&self) -> Result<PathBuf, Error> {
        match &self.programs {
            Some(folder) => Ok(folder.clone()),
            None => programs::postgres_folder(self.major().as_deref()),
        }
    }

    /// The process, while it was not stopped by [`Postgres::stop`].
    pub fn running(&self) -> Option<&Running> {
        self.running.as_ref()
    }

    /// Whether it does not run.
    pub(crate) fn has_died(&self) -> bool {
        self.running
            .as_ref()
            .is_none_or(|running| running.status().is_some())
    }

    /// Stops the server (fast shutdown). Its data and port stay for [`Postgres::restart`].
    ///
    /// # Errors
    /// It had to be killed.
    pub async fn stop(&mut self) -> Result<(), Error> {
        match self.running.take() {
            Some(running) => running.stop(Signal::SIGINT, STOP_PATIENCE).await,
            None => Ok(()),
        }
    }

    /// Starts it again on the same port, after [`Postgres::stop`] or when it died.
    ///
    /// # Errors
    /// It does not start.
    pub async fn restart(&mut self) -> Result<(), Error> {
        self.stop().await.ok();
        self.launch().await
    }

    fn data(&self) -> PathBuf {
        self.folder.join("postgres")
    }

    fn log(&self) -> PathBuf {
        self.folder.join("postgres.log")
    }

    fn major(&self) -> Option<String> {
        let version = std::fs::read_to_string(self.data().join("PG_VERSION")).ok()?;
        Some(version.trim().to_owned())
    }

    /// Sets the cluster up beside its place and moves it there when complete, so that an
    /// interrupted set-up leaves nothing that looks like a cluster.
    async fn create_cluster(&self) -> Result<(), Error> {
        let draft = self.folder.join("postgres.new");
        let password = self.folder.join("initdb-password");
        if draft.exists() {
            std::fs::remove_dir_all(&draft).trying("remove", &draft)?;
        }
        std::fs::create_dir(&draft).trying("make the folder", &draft)?;
        self.account.own(&draft)?;
        write_private(&password, self.password.as_bytes())?;
        self.account.own(&password)?;

        let program = self.programs()?.join("initdb");
        let mut command = self.account.command(&program, "KILL")?;
        command
            .args(["--username", SUPERUSER])
            .args(["--auth", "scram-sha-256"])
            .args(["--encoding", "UTF8", "--locale", "C.UTF-8"])
            .arg("--pwfile")
            .arg(&password)
            .arg("--pgdata")
            .arg(&draft);
        if self.keep == Keep::Nothing {
            command.arg("--no-sync");
        }
        let initdb = Running::spawn("initdb", command, self.log(), Signal::SIGKILL).await?;
        let in_time = tokio::time::timeout(INITDB_PATIENCE, initdb.ended()).await;
        std::fs::remove_file(&password).trying("remove", &password)?;
        match (in_time, initdb.status()) {
            (Ok(()), Some(status)) if status.success() => {
                self.admit_neighbours(&draft)?;
                std::fs::rename(&draft, self.data()).trying("move into place", &draft)
            }
            _ => Err(Error::DidNotStart {
                server: "initdb".to_owned(),
                reason: "the cluster could not be set up".to_owned(),
                log: log_tail(&self.log()),
            }),
        }
    }

    /// Lets clients of its network in, where it does not listen for this machine alone.
    fn admit_neighbours(&self, data: &Path) -> Result<(), Error> {
        if self.place.is_local() {
            return Ok(());
        }
        let rules = data.join("pg_hba.conf");
        File::options()
            .append(true)
            .open(&rules)
            .and_then(|mut rules| rules.write_all(NEIGHBOURS.as_bytes()))
            .trying("write", &rules)
    }

    async fn launch(&mut self) -> Result<(), Error> {
        let programs = self.programs()?;
        // Both end the backends and close cleanly; a throw-away cluster need not flush.
        let (death_signal, on_drop) = match self.keep {
            Keep::Data => ("INT", Signal::SIGINT),
            Keep::Nothing => ("QUIT", Signal::SIGQUIT),
        };
        let command = self
            .account
            .command(&programs.join("postgres"), death_signal)?;
        let mut command = self.place.enter(command);
        command.arg("-D").arg(self.data());
        command.args(["-c", &format!("listen_addresses={}", self.address())]);
        command.args(["-p", &self.port.to_string()]);
        let hurry: &[(&str, &str)] = match self.keep {
            Keep::Data => &[],
            Keep::Nothing => &THROW_AWAY_SETTINGS,
        };
        for (name, value) in SETTINGS.iter().chain(hurry) {
            command.args(["-c", &format!("{name}={value}")]);
        }
        let running = Running::spawn("PostgreSQL", command, self.log(), on_drop).await?;
        let status = self.data().join("postmaster.pid");
        let expected = running.pid();
        running
            .wait_until(START_PATIENCE, || {
                std::future::ready(says_ready(&status, expected))
            })
            .await?;
        self.running = Some(running);
        Ok(())
    }
}

/// Whether `postmaster.pid` is that of process `pid` and says that connections are accepted: its
/// first line is the process id, its eighth the state. `pg_ctl start --wait` looks at the same.
fn says_ready(file: &Path, pid: i32) -> bool {
    let Ok(text) = std::fs::read_to_string(file) else {
        return false;
    };
    let mut lines = text.lines();
    let is_ours = lines.next().and_then(|line| line.trim().parse().ok()) == Some(pid);
    is_ours && lines.nth(6).is_some_and(|state| state.trim() == "ready")
}
