//! Webhooks that could not be delivered: administrators see, replay and remove them. The relay sends
//! them.

mod routes;
mod service;
mod store;

pub(super) use routes::router;
