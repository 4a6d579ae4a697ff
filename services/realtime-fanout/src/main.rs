//! Process entry of the realtime-fanout service.
fn main() {}
