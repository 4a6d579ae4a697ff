//! What the engine answers, page by page of PostgREST's reference, against a real PostgreSQL.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests fail the test"
)]

mod bare_writes;
mod calls;
mod counts;
mod embedding;
mod embedding_names;
mod errors;
mod functions;
mod isolation;
mod large_answers;
mod media;
mod negotiation;
mod openapi;
mod options;
mod pagination;
mod preferences;
mod read;
mod reload;
mod resilience;
mod schema_cache;
mod server;
mod sessions;
mod several_faults;
mod world;
mod write;
