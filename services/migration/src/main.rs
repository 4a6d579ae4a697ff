//! Process entry of the migration service.

use std::process::ExitCode;

fn main() -> ExitCode {
    ingot_migration::main()
}
