//! The command line, and the commands that end at once.

#![allow(clippy::print_stdout, reason = "what these commands are for")]

use std::path::PathBuf;

use anyhow::{Context, ensure};
use clap::Parser;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::settings::{Database, Listening, SETTINGS, Settings, Values};
use crate::state::{State, with_database};

/// PostgREST's dialect on a PostgreSQL database, as an HTTP server
#[derive(Debug, Parser)]
#[command(name = "ingot-rest", version, disable_version_flag = true)]
pub(crate) struct Arguments {
    /// Configuration file; `PGRST_*` variables win over it
    pub(crate) file: Option<PathBuf>,
    /// Prints every setting and what it means
    #[arg(short, long)]
    pub(crate) example: bool,
    /// Prints the settings from file, environment and database
    #[arg(long)]
    pub(crate) dump_config: bool,
    /// Prints the schema cache as JSON
    #[arg(long)]
    pub(crate) dump_schema: bool,
    /// Asks the admin server of a running instance whether it is ready
    #[arg(long)]
    pub(crate) ready: bool,
    /// Prints the version
    #[arg(short, long, action = clap::ArgAction::Version)]
    version: Option<bool>,
}

pub(crate) fn print_example() {
    for setting in SETTINGS {
        println!("## {}", setting.meaning);
        println!(
            "# {} = \"{}\"",
            setting.name,
            setting.default.unwrap_or_default()
        );
        println!("# {}\n", setting.variable());
    }
}

pub(crate) async fn dump_config(values: Values, database: &Database) -> anyhow::Result<()> {
    let settings = Settings::of(with_database(values, database).await?)?;
    print!("{}", settings.values.dump());
    Ok(())
}

pub(crate) async fn dump_schema(state: &State) -> anyhow::Result<()> {
    state.reload().await?;
    let schema = state.running().engine.loaded_schema().await?;
    println!("{}", schema.to_json());
    Ok(())
}

pub(crate) async fn ask_ready(listening: &Listening) -> anyhow::Result<()> {
    let (host, port) = listening
        .admin
        .as_ref()
        .context("admin-server-port is not set")?;
    let host = if host.starts_with(['*', '!']) {
        "localhost"
    } else {
        host
    };
    let address = format!("http://{host}:{port}/ready");
    let mut stream = TcpStream::connect((host, *port))
        .await
        .context(address.clone())?;
    let request = format!("GET /ready HTTP/1.0\r\nHost: {host}\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    ensure!(answer.contains(" 200 "), "Not ready: {address}");
    println!("OK: {address}");
    Ok(())
}
