//! The file that a backup is written to. Until it is whole it has another name; it takes the place
//! of nothing, and nothing is written through a link.

use std::fs::{File, Metadata, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use rustix::fs::{CWD, OFlags, RenameFlags, renameat_with};
use rustix::io::Errno;

/// What is behind the name of a file that is not whole yet.
const UNFINISHED: &str = ".unfinished";

/// A file that becomes a backup. Dropped before it is published, it is gone.
#[derive(Debug)]
pub(super) struct Target {
    path: PathBuf,
    unfinished: PathBuf,
    file: File,
}

impl Target {
    /// Begins a file that this user alone may read: it has hashes of passwords. Takes away what an
    /// interrupted backup has left behind.
    ///
    /// # Errors
    /// Something is there already, another backup is being written there, or the folder cannot be
    /// written to.
    pub(super) fn begin(path: &Path) -> anyhow::Result<Self> {
        ensure!(
            std::fs::symlink_metadata(path).is_err(),
            "{} is there already: name another file",
            path.display()
        );
        let mut unfinished = path.as_os_str().to_owned();
        unfinished.push(UNFINISHED);
        let unfinished = PathBuf::from(unfinished);
        remove_leftover(&unfinished)?;
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&unfinished)
            .with_context(|| format!("{} cannot be written", unfinished.display()))?;
        lock(&file, &unfinished)?;
        Ok(Self {
            path: path.to_owned(),
            unfinished,
            file,
        })
    }

    /// Where to write.
    pub(super) fn file(&self) -> io::Result<File> {
        self.file.try_clone()
    }

    /// Gives the file its name once it is on the disk.
    ///
    /// # Errors
    /// Something has the name by now, or somebody took the file away.
    pub(super) fn publish(self) -> anyhow::Result<()> {
        self.file.sync_all()?;
        ensure!(
            self.is_in_place(),
            "somebody has taken {} away meanwhile",
            self.unfinished.display()
        );
        let (from, to) = (&self.unfinished, &self.path);
        match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
            // Network file systems cannot do that in one step.
            Err(Errno::INVAL | Errno::NOSYS) => std::fs::hard_link(from, to),
            renamed => renamed.map_err(io::Error::from),
        }
        .with_context(|| format!("{} cannot take its name", to.display()))?;
        // Its name, too, is to survive a loss of power.
        let folder = match to.parent() {
            Some(folder) if folder != Path::new("") => folder,
            _ => Path::new("."),
        };
        File::open(folder)?.sync_all()?;
        Ok(())
    }

    /// Whether the name of the unfinished file is still this file's.
    fn is_in_place(&self) -> bool {
        let place = |it: Metadata| (it.dev(), it.ino());
        let found = std::fs::symlink_metadata(&self.unfinished).map(place);
        matches!((found, self.file.metadata().map(place)), (Ok(one), Ok(other)) if one == other)
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        if self.is_in_place()
            && let Err(error) = std::fs::remove_file(&self.unfinished)
        {
            tracing::debug!(%error, "an unfinished backup stays");
        }
    }
}

fn remove_leftover(path: &Path) -> anyhow::Result<()> {
    // A link is not followed, and nobody at the other end of a pipe is waited for.
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let leftover = OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path);
    let leftover = match leftover {
        Ok(leftover) => leftover,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => {
            return Err(error)
                .with_context(|| format!("{} is in the way: remove it", path.display()));
        }
    };
    ensure!(
        leftover.metadata()?.is_file(),
        "{} is in the way, and no file: remove it",
        path.display()
    );
    lock(&leftover, path)?;
    std::fs::remove_file(path).with_context(|| format!("{} cannot be removed", path.display()))
}

/// Whoever writes a backup has its file locked until the end.
fn lock(file: &File, path: &Path) -> anyhow::Result<()> {
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => {
            bail!("another backup is being written to {}", path.display())
        }
        // Not every file system has locks. That this file is published and no other is made sure
        // of at the end.
        Ok(()) | Err(TryLockError::Error(_)) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use tempfile::TempDir;

    use super::*;

    struct Desk {
        _folder: TempDir,
        path: PathBuf,
        unfinished: PathBuf,
    }

    fn desk() -> Desk {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("one.backup");
        let unfinished = folder.path().join("one.backup.unfinished");
        Desk {
            _folder: folder,
            path,
            unfinished,
        }
    }

    fn refused(path: &Path, words: &str) {
        let error = format!("{:#}", Target::begin(path).unwrap_err());
        assert!(error.contains(words), "{error}");
    }

    #[test]
    fn it_is_this_users_alone_also_where_one_was_interrupted() {
        let desk = desk();
        std::fs::write(&desk.unfinished, "half of another one").unwrap();
        let readable = std::fs::Permissions::from_mode(0o644);
        std::fs::set_permissions(&desk.unfinished, readable).unwrap();
        let target = Target::begin(&desk.path).unwrap();
        target.file().unwrap().write_all(b"whole").unwrap();
        target.publish().unwrap();
        assert_eq!(std::fs::read(&desk.path).unwrap(), b"whole");
        let mode = std::fs::metadata(&desk.path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(!desk.unfinished.exists());
        refused(&desk.path, "is there already");
    }

    #[test]
    fn nothing_is_written_through_a_link() {
        let desk = desk();
        let victim = desk.path.with_file_name("victim");
        std::fs::write(&victim, "precious").unwrap();
        symlink(&victim, &desk.unfinished).unwrap();
        refused(&desk.path, "is in the way");
        assert_eq!(std::fs::read(&victim).unwrap(), b"precious");
        std::fs::remove_file(&desk.unfinished).unwrap();
        symlink(desk.path.with_file_name("nowhere"), &desk.path).unwrap();
        refused(&desk.path, "is there already");
    }

    #[test]
    fn two_do_not_write_the_same() {
        let desk = desk();
        let first = Target::begin(&desk.path).unwrap();
        refused(&desk.path, "another backup is being written");
        // The second one has not taken the first one's file away.
        first.publish().unwrap();
        assert!(desk.path.exists());
    }

    #[test]
    fn what_appears_meanwhile_stays() {
        let desk = desk();
        let target = Target::begin(&desk.path).unwrap();
        std::fs::write(&desk.path, "somebody's").unwrap();
        let error = format!("{:#}", target.publish().unwrap_err());
        assert!(error.contains("cannot take its name"), "{error}");
        assert_eq!(std::fs::read(&desk.path).unwrap(), b"somebody's");
        assert!(!desk.unfinished.exists());
    }

    #[test]
    fn another_file_is_not_published_for_this_one() {
        let desk = desk();
        let target = Target::begin(&desk.path).unwrap();
        std::fs::remove_file(&desk.unfinished).unwrap();
        std::fs::write(&desk.unfinished, "somebody's").unwrap();
        let error = format!("{:#}", target.publish().unwrap_err());
        assert!(error.contains("taken"), "{error}");
        assert_eq!(std::fs::read(&desk.unfinished).unwrap(), b"somebody's");
        assert!(!desk.path.exists());
    }
}
