//! The audit trail: who did what to the project (contract, platform §11).
//!
//! Other domains call [`record`] inside the transaction that makes the change, so that a change
//! without its entry cannot exist.

mod routes;
mod service;
mod store;

pub(crate) use routes::router;
pub(crate) use store::{Entry, record};
