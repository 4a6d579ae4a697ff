//! The frame in which every service process runs.

use std::fmt::Display;
use std::process::ExitCode;

use ingot_config::{Environment, Settings};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::{TelemetrySettings, init};

/// Runs one service: `--help` prints its settings; else it reads its settings, starts telemetry, serves until SIGTERM or SIGINT, drains.
///
/// A wrong setting ends the process with code 2 and a message that names it; a failed service with
/// code 1.
pub fn run<C, F>(name: &'static str, serve: impl FnOnce(C, CancellationToken) -> F) -> ExitCode
where
    C: Settings,
    F: Future<Output = anyhow::Result<()>>,
{
    let variables = [C::variables(), TelemetrySettings::variables()].concat();
    if std::env::args()
        .nth(1)
        .is_some_and(|argument| argument == "--help" || argument == "-h")
    {
        return print_help(name, &variables);
    }
    // One TLS provider for all libraries, before any of them opens a connection.
    rustls::crypto::ring::default_provider()
        .install_default()
        .ok();
    let environment = match Environment::from_process() {
        Ok(environment) => environment,
        Err(error) => return refuse(name, &error),
    };
    let (config, telemetry) = match (C::load(&environment), TelemetrySettings::load(&environment)) {
        (Ok(config), Ok(telemetry)) => (config, telemetry),
        (Err(mut problems), telemetry) => {
            problems.extend(telemetry.err().unwrap_or_default());
            return refuse(name, &problems);
        }
        (_, Err(problems)) => return refuse(name, &problems),
    };
    let telemetry = match init(&telemetry, name) {
        Ok(telemetry) => telemetry,
        Err(error) => return refuse(name, &error),
    };
    // One environment may serve several services, so this is a warning here; `ingot` refuses.
    for problem in environment.unknown(&variables).iter() {
        tracing::warn!(
            variable = problem.variable,
            "this service has no such setting"
        );
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return refuse(name, &error),
    };
    let result = runtime.block_on(async {
        telemetry.follow_signals()?;
        serve(config, shutdown_on_signal()?).await
    });
    if let Err(error) = &result {
        tracing::error!(error = format!("{error:#}"), "{name} stopped");
    }
    telemetry.shutdown();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// A token that SIGTERM or SIGINT cancels.
pub fn shutdown_on_signal() -> std::io::Result<CancellationToken> {
    let (mut terminate, mut interrupt) = (
        signal(SignalKind::terminate())?,
        signal(SignalKind::interrupt())?,
    );
    let token = CancellationToken::new();
    let cancel = token.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping");
        cancel.cancel();
    });
    Ok(token)
}

#[allow(clippy::print_stdout, reason = "the answer to --help")]
fn print_help(name: &str, variables: &[ingot_config::Variable]) -> ExitCode {
    println!(
        "{name}: settings come from the environment, or from the file in INGOT_CONFIG_FILE.\n"
    );
    println!("{}", ingot_config::help_text(variables));
    ExitCode::SUCCESS
}

#[allow(
    clippy::print_stderr,
    reason = "telemetry is not up yet, and an operator is watching"
)]
fn refuse(name: &str, error: &dyn Display) -> ExitCode {
    eprintln!("{name} cannot start: {error}");
    ExitCode::from(2)
}
