//! Process entry of the api service.
fn main() {}
