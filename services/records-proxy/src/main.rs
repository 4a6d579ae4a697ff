//! Process entry of the records-proxy service.

use std::process::ExitCode;

/// Gives back what large answers took.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    ingot_telemetry::run("ingot-records-proxy", ingot_records_proxy::serve)
}
