//! A project's secrets, encrypted at rest, and the rotation of its keys (contract, platform §9, §10).

mod failure;
mod routes;
mod service;
mod store;

pub(crate) use routes::{anon_token, metadata_router, router};
