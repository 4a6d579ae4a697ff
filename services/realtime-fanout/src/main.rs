//! Process entry of the realtime-fanout service.

use std::process::ExitCode;

fn main() -> ExitCode {
    ingot_telemetry::run("ingot-realtime-fanout", ingot_realtime_fanout::serve)
}
