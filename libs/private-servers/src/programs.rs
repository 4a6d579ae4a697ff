//! Where the servers' programs are.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Error;

/// Debian keeps PostgreSQL's server programs here, one folder per major version, out of PATH.
const DEBIAN_POSTGRES: &str = "/usr/lib/postgresql";

/// Folders with servers that an ordinary user's PATH lacks on Debian.
const SYSTEM_FOLDERS: [&str; 2] = ["/usr/sbin", "/usr/local/sbin"];

/// The folder with `postgres` and `initdb`. With `major`, the version that wrote an existing
/// cluster, only that version will do.
pub(crate) fn postgres_folder(major: Option<&str>) -> Result<PathBuf, Error> {
    let mut in_path = path_folders().filter(|folder| is_complete(folder));
    let candidate = match major {
        Some(major) => {
            let debian = Path::new(DEBIAN_POSTGRES).join(major).join("bin");
            in_path
                .find(|folder| version(folder).as_deref() == Some(major))
                .or_else(|| is_complete(&debian).then_some(debian))
        }
        None => in_path.next().or_else(newest_debian_postgres),
    };
    candidate.ok_or_else(|| Error::MissingProgram {
        program: "postgres",
        places: "/usr/lib/postgresql/*/bin",
        package: major.map_or_else(
            || "postgresql".to_owned(),
            |major| format!("postgresql-{major}"),
        ),
    })
}

/// The NATS server.
pub(crate) fn nats_server() -> Result<PathBuf, Error> {
    find("nats-server").ok_or_else(|| Error::MissingProgram {
        program: "nats-server",
        places: "/usr/sbin",
        package: "nats-server".to_owned(),
    })
}

/// `setpriv`, which changes user and sets the parent-death signal before it becomes the server.
pub(crate) fn setpriv() -> Result<PathBuf, Error> {
    find("setpriv").ok_or_else(|| Error::MissingProgram {
        program: "setpriv",
        places: "/usr/sbin",
        package: "util-linux".to_owned(),
    })
}

fn find(program: &str) -> Option<PathBuf> {
    path_folders()
        .chain(SYSTEM_FOLDERS.iter().map(PathBuf::from))
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}

fn path_folders() -> impl Iterator<Item = PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).collect::<Vec<_>>().into_iter()
}

fn is_complete(folder: &Path) -> bool {
    ["postgres", "initdb"]
        .iter()
        .all(|program| folder.join(program).is_file())
}

/// The major version of the server in `folder`: it says `postgres (PostgreSQL) 15.9 (Debian ...)`.
fn version(folder: &Path) -> Option<String> {
    let said = Command::new(folder.join("postgres"))
        .arg("--version")
        .output()
        .ok()?;
    let said = String::from_utf8(said.stdout).ok()?;
    let (_, number) = said.split_once("(PostgreSQL) ")?;
    let digits = number.chars().take_while(char::is_ascii_digit);
    Some(digits.collect())
}

fn newest_debian_postgres() -> Option<PathBuf> {
    std::fs::read_dir(DEBIAN_POSTGRES)
        .ok()?
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let major: u32 = entry.file_name().to_str()?.parse().ok()?;
            let folder = entry.path().join("bin");
            is_complete(&folder).then_some((major, folder))
        })
        .max_by_key(|(major, _)| *major)
        .map(|(_, folder)| folder)
}
