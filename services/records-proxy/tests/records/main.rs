//! The service on a real PostgreSQL and NATS, asked as the edge asks: with its native engine, and
//! before an upstream in PostgREST's place.

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
