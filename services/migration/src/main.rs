//! Process entry of the migration service: `ingot-migration` serves, `ingot-migration --once`
//! brings the databases up to date and ends.

use std::process::ExitCode;

fn main() -> ExitCode {
    const NAME: &str = "ingot-migration";
    if std::env::args().nth(1).as_deref() == Some("--once") {
        ingot_telemetry::run(NAME, ingot_migration::run_once)
    } else {
        ingot_telemetry::run(NAME, ingot_migration::serve)
    }
}
