//! Process entry of the records-proxy service.

use std::process::ExitCode;

fn main() -> ExitCode {
    ingot_telemetry::run("ingot-records-proxy", ingot_records_proxy::serve)
}
