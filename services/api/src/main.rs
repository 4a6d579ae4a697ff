//! Process entry of the api service.

use std::process::ExitCode;

fn main() -> ExitCode {
    ingot_telemetry::run("ingot-api", ingot_api::serve)
}
