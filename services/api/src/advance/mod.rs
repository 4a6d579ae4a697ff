//! SQL that administrators write: raw SQL with parameters and plans (contract, database §7.1, §7.2).

mod routes;
mod service;
mod store;
mod values;

pub(crate) use routes::router;
