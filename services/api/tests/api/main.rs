//! The api service over HTTP, on real PostgreSQL and NATS, as the edge would call it.

mod admin;
mod credentials;
mod harness;
mod platform;
mod secrets;
mod sessions;
mod users;
