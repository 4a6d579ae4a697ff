//! The records engine as a server of its own, for whoever runs PostgREST today: the same settings,
//! the same signals and notifications, the same answers.

mod arguments;
mod http;
mod settings;
mod state;
mod token;

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use clap::Parser as _;
use ingot_config::Environment;
use time::OffsetDateTime;
use time::macros::format_description;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use arguments::Arguments;
use settings::{Database, Listening, LogLevel, Values};
use state::State;

/// Releases memory of large answers, and does not fragment.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let outcome = runtime
        .context("cannot start")
        .and_then(|runtime| runtime.block_on(run(&arguments)));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments) -> anyhow::Result<()> {
    if arguments.example {
        arguments::print_example();
        return Ok(());
    }
    rustls::crypto::ring::default_provider()
        .install_default()
        .ok();
    let file = arguments.file.clone();
    let environment = Environment::from_process()?;
    let values = Values::read(file.as_deref(), &environment)?;
    for name in &values.unknown {
        say(&format!("Unknown setting, which has no effect: {name}"));
    }
    let uri = settings::from_file(values.get("db-uri").unwrap_or_default())?;
    let database = Database::parse(&uri, |name| environment.get(name).map(str::to_owned))?;
    let listening = Listening::of(&values)?;
    if arguments.ready {
        return arguments::ask_ready(&listening).await;
    }
    if arguments.dump_config {
        return arguments::dump_config(values, &database).await;
    }
    let state = Arc::new(State::new(file, environment, database, values)?);
    log_engine(state.running().settings.log_level);
    if arguments.dump_schema {
        return arguments::dump_schema(&state).await;
    }
    say(concat!(
        "Starting ingot-rest ",
        env!("CARGO_PKG_VERSION"),
        "..."
    ));
    let shutdown = CancellationToken::new();
    tokio::spawn(stop_at_signal(shutdown.clone()));
    let following = tokio::spawn(state.clone().follow(shutdown.clone()));
    http::serve(state, &listening, shutdown).await?;
    following
        .await
        .context("the settings are no longer followed")
}

/// Shows what the engine has to say.
fn log_engine(level: LogLevel) {
    let level = match level {
        LogLevel::Crit | LogLevel::Error => tracing::Level::ERROR,
        LogLevel::Warn => tracing::Level::WARN,
        LogLevel::Info => tracing::Level::INFO,
        LogLevel::Debug => tracing::Level::DEBUG,
    };
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .init();
}

async fn stop_at_signal(shutdown: CancellationToken) -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    say("Stopping");
    shutdown.cancel();
    Ok(())
}

/// Writes a line to the log of the server itself.
#[allow(clippy::print_stderr, reason = "the log of a program for people")]
fn say(text: &str) {
    let format =
        format_description!("[day]/[month repr:short]/[year]:[hour]:[minute]:[second] +0000");
    let now = OffsetDateTime::now_utc().format(format).unwrap_or_default();
    eprintln!("{now}: {text}");
}
