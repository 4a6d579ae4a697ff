//! Programs that `cargo xtask tools` installs below the target folder.

use std::path::PathBuf;

use anyhow::Context;

/// Such a program, by its path in the folder of tools.
///
/// # Errors
/// It is not installed.
pub fn tool(path: &str) -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe()?;
    own.ancestors()
        .skip(1)
        .take(4)
        .map(|folder| folder.join("tools").join(path))
        .find(|program| program.is_file())
        .with_context(|| format!("{path} is not installed: run `cargo xtask tools`"))
}
