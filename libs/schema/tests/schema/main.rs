//! The schema and its runner, on a real PostgreSQL.

#![allow(
    clippy::unwrap_used,
    reason = "a failed step of a test is a failed test"
)]

mod beside_the_database;
mod catalogue;
mod database;
mod expansion;
mod extensions;
mod logins;
mod publishing;
mod row_security;
mod runner;
mod schema_changes;
