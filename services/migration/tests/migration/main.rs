//! The migration service on a real PostgreSQL and NATS.

#![allow(
    clippy::unwrap_used,
    reason = "a failed step of a test is a failed test"
)]

mod adoption;
mod bootstrap;
mod custom_migrations;
mod fleet;
mod relocation;
