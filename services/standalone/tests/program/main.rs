//! The `ingot` program as a person uses it.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a failed step of a test is a failed test"
)]

mod adopted;
mod backup;
mod by_name;
mod check;
mod doctor;
mod foreground;
mod installation;
mod migrate;
mod up_and_down;
