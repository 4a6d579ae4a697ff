//! What there is in the database besides rows: schemas, functions, indexes, policies, triggers
//! (contract, database §6).

mod routes;
mod store;

pub(crate) use routes::{Document, router};
