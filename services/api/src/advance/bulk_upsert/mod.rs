//! Files of rows, CSV or JSON, into one table (contract, database §7.5).
//!
//! Values travel as the texts that the file has, through `COPY`, so that PostgreSQL alone reads
//! them: nothing is rounded. `records` reads a file and `quotes` tells whether it was cut off, `text` writes
//! `COPY` lines.

mod meter;
mod quotes;
mod records;
mod routes;
mod service;
mod store;
mod text;

pub(super) use routes::{Document, router};
