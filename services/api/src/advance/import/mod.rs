//! SQL dumps, from an upload into the database in one transaction (contract, database §7.4).
//!
//! A dump is never held as a whole: it goes from the request to a temporary file, so that a slow
//! client holds no lock, and from there statement by statement to the guard and to PostgreSQL.
//! `script` cuts the file into `part`s.

mod part;
mod routes;
mod script;
mod service;
mod store;

pub(crate) use part::{Batch, Part, ScriptError};
pub(super) use routes::{Document, router};
pub(crate) use service::parts;
pub(crate) use store::Import;
