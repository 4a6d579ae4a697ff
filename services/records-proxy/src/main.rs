//! Process entry of the records-proxy service.
fn main() {}
