//! What can be found wrong without running anything.

use crate::command::{self, has_cargo_command, program};

pub(crate) fn run() -> anyhow::Result<()> {
    command::run(program("cargo", &["fmt", "--all", "--check"]))?;
    command::run(program(
        "cargo",
        &[
            "clippy",
            "--workspace",
            "--all-targets",
            "--locked",
            "--",
            "--deny",
            "warnings",
        ],
    ))?;
    dependencies()
}

/// Licences, banned crates and sources of all dependencies, by the rules of `deny.toml`. Without
/// cargo-deny this is said and left out; CI has it. Advisories need a database that is fetched
/// from the network: `cargo deny check advisories`, by hand.
#[allow(
    clippy::print_stderr,
    reason = "a chore reports to the person who started it"
)]
fn dependencies() -> anyhow::Result<()> {
    if !has_cargo_command("deny") {
        eprintln!("cargo-deny is not installed (cargo install cargo-deny --locked): not checked");
        return Ok(());
    }
    command::run(program(
        "cargo",
        &[
            "deny",
            "--workspace",
            "--locked",
            "check",
            "licenses",
            "bans",
            "sources",
        ],
    ))
}
