//! The cases of `dialect` once more, over HTTP against the program `ingot-rest`, and what only the
//! program has.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests fail the test"
)]

mod auth;
#[path = "../dialect/bare_writes.rs"]
mod bare_writes;
#[path = "../dialect/calls.rs"]
mod calls;
mod client;
mod configuration;
#[path = "../dialect/counts.rs"]
mod counts;
#[path = "../dialect/embedding.rs"]
mod embedding;
#[path = "../dialect/embedding_names.rs"]
mod embedding_names;
#[path = "../dialect/errors.rs"]
mod errors;
#[path = "../dialect/functions.rs"]
mod functions;
mod http;
#[path = "../dialect/isolation.rs"]
mod isolation;
#[path = "../dialect/media.rs"]
mod media;
#[path = "../dialect/negotiation.rs"]
mod negotiation;
#[path = "../dialect/openapi.rs"]
mod openapi;
#[path = "../dialect/options.rs"]
mod options;
#[path = "../dialect/pagination.rs"]
mod pagination;
#[path = "../dialect/preferences.rs"]
mod preferences;
#[path = "../dialect/read.rs"]
mod read;
#[path = "../dialect/reload.rs"]
mod reload;
#[path = "../dialect/resilience.rs"]
mod resilience;
#[path = "../dialect/schema_cache.rs"]
mod schema_cache;
#[path = "../dialect/server.rs"]
mod server;
#[path = "../dialect/sessions.rs"]
mod sessions;
#[path = "../dialect/several_faults.rs"]
mod several_faults;
#[path = "../dialect/world.rs"]
mod world;
#[path = "../dialect/write.rs"]
mod write;
