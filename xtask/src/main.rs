//! The project's chores, as `cargo xtask <chore>`: what a person types and what CI runs are the
//! same code.

mod clients;
mod command;
mod docs;
mod image;
mod lint;
mod newest;
mod test;
mod tools;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(name = "cargo xtask", about = "The project's chores")]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Debug, Subcommand)]
enum Chore {
    /// Installs the JavaScript clients, starts throw-away servers and runs all tests
    Test {
        /// Run what looks at the database on the newest PostgreSQL instead
        #[arg(long)]
        newest: bool,
        /// Passed on to the test runner, such as the name of a test
        filter: Vec<String>,
    },
    /// Checks format, lints, and the licences and sources of dependencies
    Lint,
    /// Writes the documentation that comes from the code
    Docs {
        /// Write nothing, but fail when something is out of date
        #[arg(long)]
        check: bool,
    },
    /// Builds the programs for production and lays out the files of the container image
    Image {
        /// Folder to lay them out in; replaced if it is there
        #[arg(long)]
        out: Option<PathBuf>,
        /// Take the programs that are built for tests, and do not limit their size
        #[arg(long)]
        tree_only: bool,
    },
    /// Installs the programs that check deployment files into the target folder
    Tools,
    /// Everything that a change must pass: lint, documentation, tests
    Ci,
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().chore {
        Chore::Test { newest, filter } if newest => test::run_on_newest(&filter),
        Chore::Test { filter, .. } => test::run(&filter),
        Chore::Lint => lint::run(),
        Chore::Docs { check } => docs::run(check),
        Chore::Image { out, tree_only } => image::run(out.as_deref(), tree_only),
        Chore::Tools => tools::install(),
        Chore::Ci => {
            lint::run()?;
            docs::run(true)?;
            image::run(None, true)?;
            test::run(&[])?;
            test::run_on_newest(&[])
        }
    }
}
