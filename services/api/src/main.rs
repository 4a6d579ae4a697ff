//! Process entry of the api service.

use std::process::ExitCode;

fn main() -> ExitCode {
    ingot_telemetry::run_service(
        "ingot-api",
        ingot_api::Config::from_environment,
        ingot_api::serve,
    )
}
