//! Tables by API: list, create, describe, change and drop (contract, database §3).

mod column;
mod routes;
mod service;
mod store;

pub(crate) use routes::router;
