//! What can go wrong with private servers, in words that say what to do.

use std::path::{Path, PathBuf};

/// The private servers cannot be started or stopped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A program is not installed.
    #[error(
        "cannot find `{program}` in PATH or {places}: install it with `apt-get install {package}`"
    )]
    MissingProgram {
        /// File name of the program.
        program: &'static str,
        /// Where else it was looked for.
        places: &'static str,
        /// Debian package that brings it.
        package: String,
    },
    /// Another process has its servers in this folder.
    #[error(
        "the servers in {0} are run by another process: stop that one first (`ingot down`, or \
         Ctrl-C where `ingot up` runs)"
    )]
    InUse(PathBuf),
    /// PostgreSQL refuses to run as root and there is nobody else to run it as.
    #[error(
        "PostgreSQL does not run as root and neither user `postgres` nor `nobody` exists: create \
         one of them, or run this as an ordinary user"
    )]
    NoAccount,
    /// The account that runs the servers cannot reach any place for their data.
    #[error(
        "user id {uid}, which runs the servers, can reach none of these folders: {tried}; put the \
         data folder (INGOT_DATA_DIR) where every user may pass, such as /var/lib/ingot"
    )]
    Unreachable {
        /// User id of the account.
        uid: u32,
        /// The folders, separated by commas.
        tried: String,
    },
    /// A server or its set-up ended with an error.
    #[error("{server} did not start: {reason}\n{log}")]
    DidNotStart {
        /// Name of the server.
        server: String,
        /// What was seen.
        reason: String,
        /// The last lines that it logged.
        log: String,
    },
    /// A server had to be killed.
    #[error(
        "{server} did not stop within {seconds} s and was killed; it recovers at its next start"
    )]
    Killed {
        /// Name of the server.
        server: String,
        /// How long it had.
        seconds: u64,
    },
    /// A file or process operation failed.
    #[error("cannot {action}: {source}")]
    Io {
        /// What was tried.
        action: String,
        /// Why it failed.
        source: std::io::Error,
    },
}

/// Adds what was tried to an I/O error.
pub(crate) trait Trying<T> {
    fn trying(self, action: &str, path: &Path) -> Result<T, Error>;
}

impl<T, E: Into<std::io::Error>> Trying<T> for Result<T, E> {
    fn trying(self, action: &str, path: &Path) -> Result<T, Error> {
        self.map_err(|source| Error::Io {
            action: format!("{action} {}", path.display()),
            source: source.into(),
        })
    }
}
