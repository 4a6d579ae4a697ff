//! Documentation that is written from the code.

use anyhow::{Context, ensure};

use crate::command::{program, root};

/// Where the table of all settings is.
const SETTINGS: &str = "docs/settings.md";

const HEAD: &str = "# Settings

Every setting of every service, from the declarations in the code (`cargo xtask docs` writes this
page). A service reads environment variables, and below them the `KEY=value` file that
`INGOT_CONFIG_FILE` names; an empty value counts as unset. Any setting may also be the content of a
file: `JWT_SECRET_FILE=/run/secrets/jwt` does for `JWT_SECRET` what orchestrators do for secrets. A
wrong value is refused at the start with a message that names it; `ingot-<service> --help` lists the
settings of one service.

On a machine of its own, `ingot up` (`make up`) decides some of them itself: it listens on the loopback
address with no proxy before it (`INGOT_EDGE_ADDRESS=127.0.0.1`, `TRUST_PROXY=0`), drains within 5 seconds
and logs text, unless these are set; where its servers and services are is never taken from outside.

";

/// Writes the pages, or with `check` only says whether they are current.
pub(crate) fn run(check: bool) -> anyhow::Result<()> {
    let listed = program(
        "cargo",
        &["run", "--quiet", "--locked", "--bin", "ingot", "--"],
    )
    .args(["settings", "--markdown"])
    .output()
    .context("cannot run cargo")?;
    ensure!(
        listed.status.success(),
        "`ingot settings` failed: {}",
        String::from_utf8_lossy(&listed.stderr)
    );
    let page = format!("{HEAD}{}", String::from_utf8(listed.stdout)?);
    let file = root().join(SETTINGS);
    if check {
        let current = std::fs::read_to_string(&file).unwrap_or_default();
        ensure!(
            current == page,
            "{SETTINGS} is not what the code declares: run `cargo xtask docs`"
        );
        return Ok(());
    }
    std::fs::create_dir_all(root().join("docs"))?;
    std::fs::write(&file, page).with_context(|| format!("cannot write {}", file.display()))
}
