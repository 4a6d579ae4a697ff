//! The service on a real PostgreSQL and NATS, asked as the edge asks: with its native engine, and
//! before an upstream in PostgREST's place.
//!
//! Tests have several threads: dropping a project blocks one until PostgreSQL has seen the end of
//! every login under way, and the service needs another to finish its own.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a helper that cannot do its part has failed the test"
)]

mod events;
mod forwarded;
mod rows;
mod rules;
mod scene;
