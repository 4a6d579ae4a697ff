//! Deleting messages that are older than the project keeps them.

mod service;
mod store;

pub(crate) use service::enforce;
