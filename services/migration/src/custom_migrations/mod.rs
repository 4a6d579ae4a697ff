//! Migrations that a project's developers apply over the API (contract, database §8): one
//! transaction each, in the order of their versions, recorded in `system.custom_migrations`.

mod dry_run;
mod limit;
mod routes;
mod service;
mod store;

pub(crate) use limit::RehearsalLimit;
pub(crate) use routes::router;
