//! All tests, on one throw-away pair of servers.

use std::process::Command;

use anyhow::Context;
use ingot_private_servers::PrivateServers;
use ingot_testkit::{SERVERS_VARIABLE, TestServers};
use rustix::process::geteuid;
use tokio::runtime::Runtime;

use crate::command::{self, has_cargo_command, program};
use crate::{clients, newest, tools};

/// Tests of what depends on PostgreSQL's version: the schema and its roles, migrations, the guard's
/// corpus, a first flow. Not backups, whose tools must be of the server's version.
const ON_NEWEST: [&str; 4] = ["schema", "migration", "guard_corpus", "first_flow"];

/// Modules of tests that do what only root may, ignored unless they are asked for.
const AS_ROOT: &str = "as_root";
/// With `1`, root leaves them out, too: a container's root may make no networks.
const WITHOUT_ROOT: &str = "INGOT_TEST_WITHOUT_ROOT";

/// Runs the tests that `filter` selects; without one, all of them and those in documentation.
pub(crate) fn run(filter: &[String]) -> anyhow::Result<()> {
    prepare()?;
    on(PrivateServers::start_throw_away(), |servers| {
        command::run(runner(servers, &[], filter))?;
        if filter.is_empty() {
            run_as_root(servers)?;
            let mut documentation = program("cargo", &["test", "--workspace", "--doc", "--locked"]);
            documentation.env(SERVERS_VARIABLE, servers);
            command::run(documentation)?;
        }
        Ok(())
    })
}

/// Runs what needs root, where this is root; else says that it was left out.
#[allow(
    clippy::print_stderr,
    reason = "a chore reports to the person who started it"
)]
fn run_as_root(servers: &str) -> anyhow::Result<()> {
    let (is_root, without) = (geteuid().is_root(), std::env::var_os(WITHOUT_ROOT));
    if !is_root || without.is_some_and(|it| it == "1") {
        eprintln!(
            "LEFT OUT: the tests in modules `{AS_ROOT}`, for networks and other users need root"
        );
        return Ok(());
    }
    let only: &[&str] = if has_cargo_command("nextest") {
        &["--run-ignored", "only", AS_ROOT]
    } else {
        &["--", "--ignored", AS_ROOT]
    };
    let only: Vec<_> = only.iter().map(|it| (*it).to_owned()).collect();
    command::run(runner(servers, &[], &only))
}

/// Runs those of the tests in [`ON_NEWEST`] that `filter` selects on the newest PostgreSQL.
pub(crate) fn run_on_newest(filter: &[String]) -> anyhow::Result<()> {
    prepare()?;
    let copy = newest::copy(&tools::folder())?;
    let programs = copy.path().join("bin");
    on(
        PrivateServers::start_throw_away_with(&programs),
        |servers| {
            let mut tests = runner(servers, &ON_NEWEST, filter);
            // For tests that start servers of their own.
            let path = std::env::var_os("PATH").unwrap_or_default();
            let path = std::iter::once(programs.clone()).chain(std::env::split_paths(&path));
            tests.env("PATH", std::env::join_paths(path)?);
            command::run(tests)
        },
    )
}

fn prepare() -> anyhow::Result<()> {
    clients::install()?;
    tools::install()?;
    // End-to-end tests start the programs themselves.
    command::run(program(
        "cargo",
        &["build", "--workspace", "--bins", "--locked"],
    ))
}

/// Does `work` while the servers run.
fn on(
    start: impl Future<Output = Result<PrivateServers, ingot_private_servers::Error>>,
    work: impl FnOnce(&str) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let runtime = Runtime::new()?;
    let servers = runtime.block_on(start)?;
    let addresses = TestServers::from(&servers).to_variable()?;
    let outcome = work(&addresses);
    runtime
        .block_on(servers.stop())
        .context("the tests' servers do not stop")?;
    outcome
}

/// What runs these test programs, or all tests if none is named, on these servers.
fn runner(servers: &str, names: &[&str], filter: &[String]) -> Command {
    // nextest runs each test in a process of its own and stops one that hangs.
    let by_nextest = has_cargo_command("nextest");
    let runner: &[&str] = if by_nextest {
        &["nextest", "run", "--workspace", "--locked"]
    } else {
        &["test", "--workspace", "--locked", "--no-fail-fast"]
    };
    let mut tests = program("cargo", runner);
    for name in names {
        tests.args(["--test", name]);
    }
    if names.is_empty() && !by_nextest {
        tests.arg("--all-targets");
    }
    tests.args(filter).env(SERVERS_VARIABLE, servers);
    tests
}
