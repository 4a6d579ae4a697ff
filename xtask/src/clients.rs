//! The official JavaScript clients that tests drive, as `tests/clients/package-lock.json` pins
//! them.

use std::path::Path;
use std::time::SystemTime;

use crate::command::{program, root, run};

/// Installs them unless that was done since the lock file changed.
pub(crate) fn install() -> anyhow::Result<()> {
    let folder = root().join("tests/clients");
    // npm writes this one at the end of an installation.
    let installed = modified(&folder.join("node_modules/.package-lock.json"));
    let wanted = modified(&folder.join("package-lock.json"));
    if installed.is_some() && installed >= wanted {
        return Ok(());
    }
    let mut npm = program("npm", &["ci", "--no-progress"]);
    npm.current_dir(folder);
    run(npm)
}

fn modified(file: &Path) -> Option<SystemTime> {
    std::fs::metadata(file).ok()?.modified().ok()
}
