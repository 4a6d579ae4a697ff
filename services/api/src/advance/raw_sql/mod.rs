//! Raw SQL with parameters and plans (contract, database §7.1, §7.2).

mod routes;
mod service;
mod store;

pub(super) use routes::{Document, router};
