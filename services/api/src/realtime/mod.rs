//! Realtime for administrators: channels, the message log, retention and who may do what (contract,
//! realtime §14), webhooks that failed. Sockets are served by the fan-out nodes.

mod channel;
mod routes;
mod service;
mod store;
mod webhooks;

pub(crate) use routes::router;
