//! The api service over HTTP, on real PostgreSQL and NATS, as the edge would call it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot set its scene has failed"
)]

mod admin;
mod admin_records;
mod backup_schedule;
mod backups;
mod bulk_upsert;
mod cloud;
mod credentials;
mod escapes;
mod events;
mod export;
mod faults;
mod harness;
mod import;
mod introspection;
mod leftovers;
mod openapi;
mod platform;
mod raw_sql;
mod realtime;
mod sdk;
mod secrets;
mod sessions;
mod tables;
mod users;
mod values;
