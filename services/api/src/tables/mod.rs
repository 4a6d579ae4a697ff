//! Tables by API: list, create, describe, change and drop (contract, database §3).

mod column;
mod description;
mod plan;
mod routes;
mod service;
mod store;

pub(crate) use routes::{Document, router};
