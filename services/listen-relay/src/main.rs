//! Process entry of the listen-relay service.

use std::process::ExitCode;

fn main() -> ExitCode {
    ingot_telemetry::run("ingot-listen-relay", ingot_listen_relay::serve)
}
