//! Realtime for administrators: channels, the message log, retention and who may do what (contract,
//! realtime §14). Sockets are served by the fan-out nodes.

mod channel;
mod routes;
mod service;
mod store;

pub(crate) use routes::router;
