//! Process entry of the edge service.

use std::process::ExitCode;

/// Many connections of very different life times fragment the system's allocator.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    ingot_telemetry::run("ingot-edge", ingot_edge::serve_changing)
}
