//! The data folder (`.ingot`): what is in it, and who holds it.

use std::fs::{File, Permissions};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use nix::fcntl::{Flock, FlockArg};

/// Paths in the data folder.
#[derive(Debug, Clone)]
pub(crate) struct DataFolder(PathBuf);

impl DataFolder {
    /// Opens the folder; makes it when missing. Others may pass through it to what is theirs
    /// (PostgreSQL runs as another user when we are root), but not list it.
    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        let describe = || format!("cannot make the data folder {}", path.display());
        if !path.is_dir() {
            std::fs::create_dir_all(path).with_context(describe)?;
            std::fs::set_permissions(path, Permissions::from_mode(0o711)).with_context(describe)?;
        }
        let folder = Self(path.canonicalize().with_context(describe)?);
        for private in [folder.logs(), folder.pids()] {
            std::fs::create_dir_all(&private).with_context(describe)?;
            std::fs::set_permissions(&private, Permissions::from_mode(0o700))
                .with_context(describe)?;
        }
        Ok(folder)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Data of PostgreSQL and NATS.
    pub(crate) fn servers(&self) -> PathBuf {
        self.0.join("servers")
    }

    /// Generated secrets.
    pub(crate) fn secrets(&self) -> PathBuf {
        self.0.join("secrets.env")
    }

    /// Addresses and keys of what runs, for programs and people.
    pub(crate) fn stack(&self) -> PathBuf {
        self.0.join("stack.env")
    }

    /// One log per process.
    pub(crate) fn logs(&self) -> PathBuf {
        self.0.join("logs")
    }

    /// Log of `ingot` itself, when it runs in the background.
    pub(crate) fn own_log(&self) -> PathBuf {
        self.logs().join("ingot.log")
    }

    fn pids(&self) -> PathBuf {
        self.0.join("pids")
    }

    /// File with the process id of something that runs.
    pub(crate) fn pid_file(&self, name: &str) -> PathBuf {
        self.pids().join(format!("{name}.pid"))
    }

    /// Notes a process id.
    pub(crate) fn note_pid(&self, name: &str, pid: i32) -> anyhow::Result<()> {
        write_private(&self.pid_file(name), &format!("{pid}\n"))
    }

    /// Forgets what ran: pid files and addresses.
    pub(crate) fn clear(&self) {
        std::fs::remove_file(self.stack()).ok();
        let entries = std::fs::read_dir(self.pids()).into_iter().flatten();
        for entry in entries.flatten() {
            std::fs::remove_file(entry.path()).ok();
        }
    }

    /// Takes the folder for this process.
    ///
    /// # Errors
    /// Another process has it.
    pub(crate) fn hold(&self) -> anyhow::Result<Hold> {
        match self.try_lock()? {
            Ok(mut lock) => {
                lock.set_len(0)?;
                lock.rewind()?;
                write!(lock, "{}", std::process::id())?;
                Ok(Hold { _lock: lock })
            }
            Err(_) => bail!(
                "Ingot runs already in {}: its addresses are in {}; `ingot down` stops it",
                self.0.display(),
                self.stack().display()
            ),
        }
    }

    /// The process that holds the folder, if any. A lock and not a pid file decides that: the
    /// kernel releases it with the process, and process ids are used again.
    pub(crate) fn holder(&self) -> anyhow::Result<Option<i32>> {
        match self.try_lock()? {
            Ok(_released_at_once) => Ok(None),
            Err(mut file) => {
                let mut pid = String::new();
                file.read_to_string(&mut pid)?;
                Ok(pid.trim().parse().ok())
            }
        }
    }

    fn try_lock(&self) -> anyhow::Result<Result<Flock<File>, File>> {
        let path = self.0.join("lock");
        let file = File::options()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .mode(0o600)
            .open(&path)
            .with_context(|| format!("cannot open {}", path.display()))?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => Ok(Ok(lock)),
            Err((file, nix::errno::Errno::EWOULDBLOCK)) => Ok(Err(file)),
            Err((_, error)) => {
                Err(error).with_context(|| format!("cannot lock {}", path.display()))
            }
        }
    }
}

/// The folder is ours until this is dropped.
#[derive(Debug)]
pub(crate) struct Hold {
    _lock: Flock<File>,
}

/// Writes a file that only we may read.
pub(crate) fn write_private(file: &Path, text: &str) -> anyhow::Result<()> {
    write_at_once(file, text, 0o600)
}

/// Replaces a file in one step, so that whoever sees it sees all of it; nobody but us reads it
/// before it has its `mode`.
pub(crate) fn write_at_once(file: &Path, text: &str, mode: u32) -> anyhow::Result<()> {
    let draft = file.with_extension("new");
    std::fs::remove_file(&draft).ok();
    File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&draft)
        .and_then(|mut open| {
            open.write_all(text.as_bytes())?;
            open.set_permissions(Permissions::from_mode(mode))?;
            open.sync_all()
        })
        .and_then(|()| std::fs::rename(&draft, file))
        .with_context(|| format!("cannot write {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_holder_at_a_time() {
        let home = tempfile::tempdir().unwrap();
        let folder = DataFolder::open(&home.path().join(".ingot")).unwrap();
        assert_eq!(folder.holder().unwrap(), None);
        let hold = folder.hold().unwrap();
        let ours = i32::try_from(std::process::id()).unwrap();
        assert_eq!(folder.holder().unwrap(), Some(ours));
        assert!(
            folder
                .hold()
                .unwrap_err()
                .to_string()
                .contains("ingot down")
        );
        drop(hold);
        assert_eq!(folder.holder().unwrap(), None);
    }
}
