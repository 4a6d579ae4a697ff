//! The folder of a pair of servers: kept or temporary, used by one process at a time.

use std::fs::{File, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::fcntl::{Flock, FlockArg};
use nix::unistd::geteuid;
use tempfile::TempDir;

use crate::Error;
use crate::account::Account;
use crate::credentials::{Credentials, random_hex};
use crate::error::Trying;

/// Others may pass through to what they own below, but not look around.
const PASSABLE: u32 = 0o711;

/// Where data go that the servers' account could not reach in the folder itself.
const SHARED_STATE: &str = "/var/lib/ingot";

const LOCK: &str = "lock";
const THROW_AWAY_PREFIX: &str = "ingot-throw-away-";

/// A temporary folder is left alone for so long even if nobody holds its lock: its owner may be
/// about to take it.
const SWEEP_AFTER: Duration = Duration::from_mins(2);

/// A locked folder.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    // Dropped before the lock: nobody sweeps a folder while it is being removed.
    temporary: Option<TempDir>,
    _lock: Flock<File>,
}

impl Folder {
    /// A folder that stays.
    pub(crate) fn kept(path: &Path) -> Result<Self, Error> {
        make(path)?;
        let path = path.canonicalize().trying("find", path)?;
        let lock = lock(&path)?.ok_or_else(|| Error::InUse(path.clone()))?;
        Ok(Self {
            path,
            temporary: None,
            _lock: lock,
        })
    }

    /// A folder that goes with the value. Folders of processes that were killed go now.
    pub(crate) fn throw_away() -> Result<Self, Error> {
        let parent = std::env::temp_dir();
        sweep(&parent);
        let temporary = tempfile::Builder::new()
            .prefix(THROW_AWAY_PREFIX)
            .permissions(Permissions::from_mode(PASSABLE))
            .tempdir_in(&parent)
            .trying("make a folder in", &parent)?;
        let path = temporary.path().to_owned();
        let lock = lock(&path)?.ok_or_else(|| Error::InUse(path.clone()))?;
        Ok(Self {
            path,
            temporary: Some(temporary),
            _lock: lock,
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// A folder for the servers' data that `account` can reach: this one, or one in
    /// `/var/lib/ingot` that is remembered in `credentials` (a root's home is closed to others).
    pub(crate) fn reachable_by(
        &self,
        account: Account,
        credentials: &mut Credentials,
    ) -> Result<PathBuf, Error> {
        if let Some(elsewhere) = &credentials.data_elsewhere {
            return Ok(elsewhere.clone());
        }
        if account.can_enter(&self.path)? {
            return Ok(self.path.clone());
        }
        let unreachable = |tried: &Path| Error::Unreachable {
            uid: account.uid(),
            tried: format!("{}, {}", self.path.display(), tried.display()),
        };
        if self.temporary.is_some() {
            return Err(unreachable(Path::new("no other for temporary data")));
        }
        let elsewhere = Path::new(SHARED_STATE).join(random_hex(8)?);
        make(&elsewhere)?;
        if !account.can_enter(&elsewhere)? {
            return Err(unreachable(&elsewhere));
        }
        tracing::info!(
            folder = %elsewhere.display(),
            "the data go here, for the account that runs the servers cannot reach {}",
            self.path.display()
        );
        credentials.data_elsewhere = Some(elsewhere.clone());
        credentials.save(&self.path)?;
        Ok(elsewhere)
    }
}

/// Makes a folder that others may pass through, unless it exists.
pub(crate) fn make(path: &Path) -> Result<(), Error> {
    if path.is_dir() {
        return Ok(());
    }
    std::fs::create_dir_all(path)
        // Said apart, because the umask may take it away from a new folder.
        .and_then(|()| std::fs::set_permissions(path, Permissions::from_mode(PASSABLE)))
        .trying("make the folder", path)
}

/// Takes the folder's lock; `None` when another process has it.
fn lock(folder: &Path) -> Result<Option<Flock<File>>, Error> {
    let path = folder.join(LOCK);
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .trying("write", &path)?;
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(lock) => Ok(Some(lock)),
        Err((_, nix::errno::Errno::EWOULDBLOCK)) => Ok(None),
        Err((_, error)) => Err(error).trying("lock", &path),
    }
}

/// Removes temporary folders of ours that nobody uses any more.
fn sweep(parent: &Path) {
    let Ok(entries) = std::fs::read_dir(parent) else {
        return;
    };
    for entry in entries.flatten() {
        let ours = entry
            .file_name()
            .to_str()
            .is_some_and(|name| name.starts_with(THROW_AWAY_PREFIX));
        if ours && is_abandoned(&entry.path()) {
            std::fs::remove_dir_all(entry.path()).ok();
        }
    }
}

/// A real folder of our own user, not new, whose lock is free.
fn is_abandoned(path: &Path) -> bool {
    let old = |meta: &std::fs::Metadata| {
        meta.modified()
            .is_ok_and(|time| time.elapsed().is_ok_and(|age| age > SWEEP_AFTER))
    };
    std::fs::symlink_metadata(path)
        .is_ok_and(|meta| meta.is_dir() && meta.uid() == geteuid().as_raw() && old(&meta))
        && matches!(lock(path), Ok(Some(_)))
}
