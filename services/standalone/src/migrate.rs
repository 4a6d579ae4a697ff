//! `ingot migrate`: the platform's schema on one project or on a folder of them.

use std::fmt::Write as _;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::ensure;
use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use ingot_config::Environment;
use ingot_migration::{Action, Fleet, Report, State};
use ingot_telemetry::shutdown_on_signal;

use crate::console::result;

#[derive(Debug, Subcommand)]
pub(crate) enum MigrateAction {
    /// Brings databases up to this build: makes what is missing, applies steps, logins and keys.
    /// Stopped or failed half-way, it continues where it was
    Up {
        #[command(flatten)]
        fleet: FleetArguments,
        /// Seconds to wait for a database that is away, or that somebody else migrates
        #[arg(long, default_value_t = 30)]
        patience: u64,
    },
    /// Lists which steps the databases have; changes nothing
    Status {
        #[command(flatten)]
        fleet: FleetArguments,
    },
    /// Ends with 0 if services of this build would work on every database; changes nothing
    Verify {
        #[command(flatten)]
        fleet: FleetArguments,
    },
}

#[derive(Debug, Args)]
pub(crate) struct FleetArguments {
    /// Folder with a file of `KEY=value` lines for each project, `<any name>.env`; what they share
    /// comes from the environment. Without it, the project of the environment
    #[arg(long)]
    projects: Option<PathBuf>,
    /// Databases that are worked on at once
    #[arg(long, default_value = "8")]
    concurrency: NonZeroUsize,
}

/// Does it, and prints a line for each project.
///
/// # Errors
/// The settings are unusable; or not every database is what it should be, for `up` and `verify`.
pub(crate) async fn run(action: MigrateAction, environment: &Environment) -> anyhow::Result<()> {
    let (fleet_arguments, action) = match action {
        MigrateAction::Up { fleet, patience } => {
            let patience = Duration::from_secs(patience);
            (fleet, Action::Up { patience })
        }
        MigrateAction::Status { fleet } => (fleet, Action::Status),
        MigrateAction::Verify { fleet } => (fleet, Action::Verify),
    };
    let fleet = match &fleet_arguments.projects {
        Some(folder) => Fleet::of_folder(folder, environment)?,
        None => Fleet::of_environment(environment)?,
    };
    let shutdown = shutdown_on_signal()?;
    // On standard error, and only if that is a terminal.
    let bar = ProgressBar::new(fleet.size() as u64).with_style(ProgressStyle::with_template(
        "{bar:30} {pos}/{len} projects, {elapsed} {msg}",
    )?);
    bar.enable_steady_tick(Duration::from_millis(200));
    let reports = fleet
        .run(action, fleet_arguments.concurrency, &shutdown, |report| {
            if let State::Failed { reason } = &report.state {
                bar.println(format!("{}: {reason}", report.project));
            }
            bar.inc(1);
            bar.set_message(report.project.to_string());
        })
        .await;
    bar.finish_and_clear();
    result(&table(&reports));
    let unwell = reports.iter().filter(|it| !it.state.is_current()).count();
    let failed = matches!(action, Action::Status)
        .then(|| {
            reports
                .iter()
                .filter(|it| matches!(it.state, State::Failed { .. }))
                .count()
        })
        .unwrap_or(unwell);
    ensure!(
        failed == 0,
        "{failed} of {} databases are not up to date; the others are. Mend what is named above \
         and run it again",
        reports.len()
    );
    Ok(())
}

/// A line for each project, and one for all.
fn table(reports: &[Report]) -> String {
    let width = reports
        .iter()
        .map(|report| report.project.as_str().len())
        .max()
        .unwrap_or_default();
    let mut text = String::new();
    for report in reports {
        let (mark, note) = describe(&report.state);
        // Writing into a String cannot fail.
        let _ = writeln!(
            text,
            "{mark:8}  {:width$}  {note}  ({:.1} s)",
            report.project.as_str(),
            report.took.as_secs_f64()
        );
    }
    let current = reports.iter().filter(|it| it.state.is_current()).count();
    let _ = writeln!(text, "{current} of {} are up to date", reports.len());
    text
}

fn describe(state: &State) -> (&'static str, String) {
    match state {
        State::Current { applied: 0 } => ("current", "has every step".to_owned()),
        State::Current { applied } => ("current", format!("{applied} steps applied")),
        State::Behind { step, pending } => {
            ("behind", format!("at step {step}, {pending} to be applied"))
        }
        State::NoDatabase => ("missing", "has no database yet".to_owned()),
        State::Failed { reason } => ("FAILED", reason.clone()),
        State::Stopped => ("stopped", "was not finished; run it again".to_owned()),
    }
}
