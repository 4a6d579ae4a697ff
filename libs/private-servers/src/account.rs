//! Who runs the servers: we ourselves, or, when we are root, an account without privileges.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

use nix::unistd::{Gid, Uid, User, chown, geteuid};

use crate::Error;
use crate::error::Trying;
use crate::programs;

/// The account that runs the servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Account {
    /// The user who runs this process.
    Ourselves,
    /// We are root; the servers are not.
    Other(Uid, Gid),
}

impl Account {
    /// The account for servers in `folder`: an ordinary user runs them as itself. Root runs them
    /// as the owner of data that are already there, else as `postgres`, else as `nobody`.
    pub(crate) fn for_folder(folder: &Path) -> Result<Self, Error> {
        if !geteuid().is_root() {
            return Ok(Self::Ourselves);
        }
        if let Ok(data) = std::fs::metadata(folder.join("postgres"))
            && data.uid() != 0
        {
            return Ok(Self::Other(data.uid().into(), data.gid().into()));
        }
        ["postgres", "nobody"]
            .iter()
            .find_map(|name| User::from_name(name).ok().flatten())
            .map(|user| Self::Other(user.uid, user.gid))
            .ok_or(Error::NoAccount)
    }

    /// Gives a file or folder to the account.
    pub(crate) fn own(self, path: &Path) -> Result<(), Error> {
        match self {
            Self::Ourselves => Ok(()),
            Self::Other(uid, gid) => {
                chown(path, Some(uid), Some(gid)).trying("change the owner of", path)
            }
        }
    }

    /// A command line that becomes `program` under this account, and that the kernel ends with
    /// `death_signal` (as `INT`) when the thread that starts it ends.
    pub(crate) fn command(self, program: &Path, death_signal: &str) -> Result<Command, Error> {
        let mut command = Command::new(programs::setpriv()?);
        command.args(["--pdeathsig", death_signal]);
        if let Self::Other(uid, gid) = self {
            command
                .args(["--reuid", &uid.to_string(), "--regid", &gid.to_string()])
                .arg("--clear-groups");
        }
        command.arg("--").arg(program);
        Ok(command)
    }

    /// Whether the account may pass through `folder` and everything above it.
    pub(crate) fn can_enter(self, folder: &Path) -> Result<bool, Error> {
        if self == Self::Ourselves {
            return Ok(true);
        }
        let status = self
            .command(Path::new("test"), "KILL")?
            .arg("-x")
            .arg(folder)
            .current_dir("/")
            .status()
            .trying("look with another account at", folder)?;
        Ok(status.success())
    }

    /// The account's user id.
    pub(crate) fn uid(self) -> u32 {
        match self {
            Self::Ourselves => geteuid().as_raw(),
            Self::Other(uid, _) => uid.as_raw(),
        }
    }
}
