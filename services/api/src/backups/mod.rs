//! Backups of a project's database on local storage, by hand and by schedule, and their settings
//! (contract, database §9).
//!
//! `archive` writes and reads the files, `tools` and `script` run PostgreSQL's own programs,
//! `content` knows what of the platform's tables belongs to a project, `restore` is the transaction
//! that brings it back, `schedule` looks at the clock. `objects` is what `ingot backup`, which takes
//! all of a project, has in common with them.

mod archive;
mod content;
mod cron;
mod objects;
mod restore;
mod routes;
mod schedule;
mod script;
mod service;
mod store;
mod tools;

use std::path::PathBuf;
use std::sync::Arc;

pub use objects::{Definitions, Dump, ObjectsRestore, ProjectObjects};
pub(crate) use routes::{Document, config_router, router};
pub(crate) use schedule::run_schedules;

use tools::Tools;

ingot_config::settings! {
    /// Backups of databases.
    pub struct BackupSettings {
        /// Folder for backups. Unset, `backups` in `INGOT_DATA_DIR`. Replicas of the api share it.
        folder: Option<PathBuf> = "INGOT_BACKUP_DIR";
        /// Folder with everything that is kept: databases, secrets, logs.
        data: PathBuf = "INGOT_DATA_DIR", default ".ingot";
        /// Folder of pg_dump and pg_restore, which must not be older than the server. Unset, they
        /// are looked for in PATH.
        tools: Option<PathBuf> = "INGOT_PG_TOOLS_DIR";
    }
}

/// Where backups are and what makes them.
#[derive(Debug)]
pub(crate) struct Backups {
    folder: PathBuf,
    tools: Tools,
}

impl Backups {
    pub(crate) fn new(settings: &BackupSettings) -> Arc<Self> {
        let folder = settings.folder.clone();
        Arc::new(Self {
            folder: folder.unwrap_or_else(|| settings.data.join("backups")),
            tools: Tools::new(settings.tools.clone()),
        })
    }
}
