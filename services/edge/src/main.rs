//! Process entry of the edge service.
fn main() {}
