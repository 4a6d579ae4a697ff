//! Process entry of the realtime-fanout service.

use std::process::ExitCode;

/// Sockets come and go in thousands; the system's allocator would keep what they leave behind.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    ingot_telemetry::run("ingot-realtime-fanout", ingot_realtime_fanout::serve)
}
