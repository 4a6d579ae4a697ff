//! Process entry of the migration service.
fn main() {}
