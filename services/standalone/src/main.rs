//! Process entry of `ingot`.

use std::process::ExitCode;

/// The edge's connections of very different life times fragment the system's allocator.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    ingot_standalone::main()
}
