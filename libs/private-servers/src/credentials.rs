//! What a kept folder remembers: passwords, ports, and where its data are.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rand::TryRngCore;
use rand::rngs::OsRng;
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::error::Trying;

const FILE: &str = "servers.json";

/// The contents of `servers.json`.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Credentials {
    pub(crate) postgres_password: String,
    pub(crate) nats_password: String,
    /// Ports of the last run, taken again when still free.
    pub(crate) postgres_port: Option<u16>,
    pub(crate) nats_port: Option<u16>,
    /// Where the data are, when the account that runs the servers cannot reach the folder.
    pub(crate) data_elsewhere: Option<PathBuf>,
}

impl Credentials {
    /// Reads the folder's file, or makes new random passwords and writes it.
    pub(crate) fn load_or_create(folder: &Path) -> Result<Self, Error> {
        let file = folder.join(FILE);
        match std::fs::read(&file) {
            Ok(text) => serde_json::from_slice(&text).trying("understand", &file),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let credentials = Self {
                    postgres_password: random_hex(24)?,
                    nats_password: random_hex(24)?,
                    postgres_port: None,
                    nats_port: None,
                    data_elsewhere: None,
                };
                credentials.save(folder)?;
                Ok(credentials)
            }
            Err(error) => Err(error).trying("read", &file),
        }
    }

    /// Where the data of the servers of `folder` are.
    pub(crate) fn data_folder<'a>(&'a self, folder: &'a Path) -> &'a Path {
        self.data_elsewhere.as_deref().unwrap_or(folder)
    }

    /// Writes the file, readable by us alone. A crash leaves the old one or the new one.
    pub(crate) fn save(&self, folder: &Path) -> Result<(), Error> {
        let file = folder.join(FILE);
        let text = serde_json::to_vec_pretty(self).trying("write", &file)?;
        write_private(&file, &text)
    }
}

/// Writes a file with mode 600, replacing an old one in one step.
pub(crate) fn write_private(file: &Path, contents: &[u8]) -> Result<(), Error> {
    let draft = file.with_extension("new");
    // A draft that a crash left behind may have another mode.
    std::fs::remove_file(&draft).ok();
    std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&draft)
        .and_then(|mut open| {
            open.write_all(contents)?;
            open.sync_all()
        })
        .and_then(|()| std::fs::rename(&draft, file))
        .trying("write", file)
}

/// `bytes` random bytes of the operating system, in hexadecimal.
pub(crate) fn random_hex(bytes: usize) -> Result<String, Error> {
    let mut buffer = vec![0; bytes];
    OsRng
        .try_fill_bytes(&mut buffer)
        .map_err(std::io::Error::other)
        .trying("read random bytes from", Path::new("the system"))?;
    Ok(hex::encode(buffer))
}
