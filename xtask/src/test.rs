//! All tests, on one throw-away pair of servers.

use anyhow::Context;
use ingot_private_servers::PrivateServers;
use ingot_testkit::{SERVERS_VARIABLE, TestServers};
use tokio::runtime::Runtime;

use crate::command::{self, has_cargo_command, program};
use crate::{clients, tools};

/// Runs the tests that `filter` selects; without one, all of them and those in documentation.
pub(crate) fn run(filter: &[String]) -> anyhow::Result<()> {
    clients::install()?;
    tools::install()?;
    // End-to-end tests start the programs themselves.
    command::run(program(
        "cargo",
        &["build", "--workspace", "--bins", "--locked"],
    ))?;
    let runtime = Runtime::new()?;
    let servers = runtime.block_on(PrivateServers::start_throw_away())?;
    let addresses = TestServers::from(&servers).to_variable()?;
    let outcome = tests(filter, &addresses);
    runtime
        .block_on(servers.stop())
        .context("the tests' servers do not stop")?;
    outcome
}

fn tests(filter: &[String], servers: &str) -> anyhow::Result<()> {
    // nextest runs each test in a process of its own and stops one that hangs.
    let by_nextest = has_cargo_command("nextest");
    let runner: &[&str] = if by_nextest {
        &["nextest", "run", "--workspace", "--locked"]
    } else {
        &[
            "test",
            "--workspace",
            "--all-targets",
            "--locked",
            "--no-fail-fast",
        ]
    };
    let mut all = program("cargo", runner);
    all.args(filter).env(SERVERS_VARIABLE, servers);
    command::run(all)?;
    if filter.is_empty() {
        let mut documentation = program("cargo", &["test", "--workspace", "--doc", "--locked"]);
        documentation.env(SERVERS_VARIABLE, servers);
        command::run(documentation)?;
    }
    Ok(())
}
