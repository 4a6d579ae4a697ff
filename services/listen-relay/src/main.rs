//! Process entry of the listen-relay service.
fn main() {}
