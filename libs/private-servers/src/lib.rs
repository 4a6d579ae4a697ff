//! A PostgreSQL cluster and a NATS server of our own, in a folder of our own.
//!
//! `ingot up` keeps them between runs; tests throw them away. Both listen on 127.0.0.1 only, on
//! free ports and with random passwords, and no server that already runs is ever touched. Works
//! as root (the servers then run as an unprivileged account) and as an ordinary user. Needs
//! Linux: a server dies with the process that started it through the kernel's parent-death signal.

mod account;
mod credentials;
mod error;
mod folder;
mod nats;
mod place;
mod ports;
mod postgres;
mod process;
mod programs;

pub use error::Error;
pub use nats::Nats;
pub use nix::sys::signal::Signal;
pub use place::Place;
pub use ports::free_port;
pub use postgres::Postgres;
pub use process::Running;

use std::path::{Path, PathBuf};
use std::process::Command;

use account::Account;
use credentials::Credentials;
use folder::Folder;

/// What becomes of the data when the servers stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keep {
    /// Written safely and kept.
    Data,
    /// Written as fast as the disk allows, removed at the end.
    Nothing,
}

/// The pair of running servers.
///
/// Call [`PrivateServers::stop`] for a clean end. Dropping it instead signals both servers to end
/// and, in throw-away mode, removes the folder; if this process is killed outright, the kernel
/// sends the same signal.
#[derive(Debug)]
pub struct PrivateServers {
    // Dropped in this order: first the servers, then the folder below them.
    postgres: Postgres,
    nats: Nats,
    folder: Folder,
}

impl PrivateServers {
    /// Starts servers whose data stay in `folder`, which is created when missing. Ports and
    /// passwords are remembered there (`servers.json`, mode 600); a port that somebody else took
    /// meanwhile is replaced by a free one.
    ///
    /// # Errors
    /// A program is missing, the folder is in use by another process, or a server does not start.
    pub async fn start_kept(folder: &Path) -> Result<Self, Error> {
        let here = [&Place::LOCAL; 2];
        Self::start(None, Folder::kept(folder)?, Keep::Data, here).await
    }

    /// Starts servers in a new temporary folder that is removed at the end. Nothing is synced to
    /// disk: for tests only.
    ///
    /// # Errors
    /// As [`PrivateServers::start_kept`].
    pub async fn start_throw_away() -> Result<Self, Error> {
        let here = [&Place::LOCAL; 2];
        Self::start(None, Folder::throw_away()?, Keep::Nothing, here).await
    }

    /// As [`PrivateServers::start_throw_away`], with the PostgreSQL whose programs are in
    /// `programs`, where the account that runs the servers must reach them.
    ///
    /// # Errors
    /// As [`PrivateServers::start_kept`].
    pub async fn start_throw_away_with(programs: &Path) -> Result<Self, Error> {
        let (folder, here) = (Folder::throw_away()?, [&Place::LOCAL; 2]);
        Self::start(Some(programs), folder, Keep::Nothing, here).await
    }

    /// As [`PrivateServers::start_throw_away`], in these places and on the servers' usual ports.
    ///
    /// # Errors
    /// As [`PrivateServers::start_kept`].
    pub async fn start_throw_away_at(postgres: &Place, nats: &Place) -> Result<Self, Error> {
        let places = [postgres, nats];
        Self::start(None, Folder::throw_away()?, Keep::Nothing, places).await
    }

    async fn start(
        programs: Option<&Path>,
        folder: Folder,
        keep: Keep,
        places: [&Place; 2],
    ) -> Result<Self, Error> {
        let [for_postgres, for_nats] = places;
        let mut credentials = Credentials::load_or_create(folder.path())?;
        let account = Account::for_folder(credentials.data_folder(folder.path()))?;
        let data = folder.reachable_by(account, &mut credentials)?;
        let (postgres, nats) = tokio::try_join!(
            Postgres::start(programs, &data, keep, account, &credentials, for_postgres),
            Nats::start(&data, keep, account, &credentials, for_nats),
        )?;
        if keep == Keep::Data {
            credentials.postgres_port = Some(postgres.port());
            credentials.nats_port = Some(nats.port());
            credentials.save(folder.path())?;
        }
        Ok(Self {
            postgres,
            nats,
            folder,
        })
    }

    /// The PostgreSQL cluster.
    pub fn postgres(&self) -> &Postgres {
        &self.postgres
    }

    /// The PostgreSQL cluster, to restart it.
    pub fn postgres_mut(&mut self) -> &mut Postgres {
        &mut self.postgres
    }

    /// The NATS server.
    pub fn nats(&self) -> &Nats {
        &self.nats
    }

    /// The NATS server, to restart it.
    pub fn nats_mut(&mut self) -> &mut Nats {
        &mut self.nats
    }

    /// Starts again whichever server ended by itself, and says which.
    ///
    /// # Errors
    /// It does not start; call again later.
    pub async fn revive(&mut self) -> Result<Vec<&'static str>, Error> {
        let mut revived = Vec::new();
        if self.postgres.has_died() {
            self.postgres.restart().await?;
            revived.push("PostgreSQL");
        }
        if self.nats.has_died() {
            self.nats.restart().await?;
            revived.push("NATS");
        }
        Ok(revived)
    }

    /// Waits until one of the servers ends.
    pub fn any_ended(&self) -> impl Future<Output = ()> + Send + use<> {
        let ended = |running: Option<&Running>| running.map(Running::ended);
        let (postgres, nats) = (ended(self.postgres.running()), ended(self.nats.running()));
        async move {
            // A server that was not running to begin with has ended already.
            let (Some(postgres), Some(nats)) = (postgres, nats) else {
                return;
            };
            tokio::select! {
                () = postgres => {}
                () = nats => {}
            }
        }
    }

    /// The folder that holds data, logs and passwords.
    pub fn folder(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    /// Stops both: NATS at once, PostgreSQL by a fast shutdown (open transactions roll back, the
    /// rest is flushed).
    ///
    /// # Errors
    /// A server did not end in time and was killed.
    pub async fn stop(mut self) -> Result<(), Error> {
        let (nats, postgres) = tokio::join!(self.nats.stop(), self.postgres.stop());
        nats.and(postgres)
    }
}

/// A command line that becomes `program` and that the kernel ends with `death_signal` (as `TERM`)
/// when this process ends, however that happens. Start it with [`Running::spawn`]: the signal
/// comes when the *thread* that started it ends.
///
/// # Errors
/// `setpriv` is missing.
pub fn guarded_command(program: &Path, death_signal: &str) -> Result<Command, Error> {
    Account::Ourselves.command(program, death_signal)
}
