//! Dumps of `public` as SQL, JSON or CSV, in one snapshot (contract, database §7.3).
//!
//! A dump is written to the client while it is read, row by row. `sink` is the way to the client,
//! `dump` puts the parts in order, `rows` turns PostgreSQL's `COPY` lines into rows of the format.

mod definitions;
mod dump;
mod routes;
mod rows;
mod service;
mod sink;
mod store;

pub(super) use routes::{Document, router};
