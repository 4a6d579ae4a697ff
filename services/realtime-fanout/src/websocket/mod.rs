//! Sockets that are websockets from their beginning, which nearly all are: without the library,
//! and without anything per socket that one at rest does not need.
//!
//! [`handshake`] takes the connection over from HTTP, [`outbox`] is what waits to be written,
//! [`socket`] writes, from whichever task has something to say, and [`pump`] is a socket's only
//! task: it reads, keeps the heartbeat, and writes what could not be written at once.

mod handshake;
mod outbox;
mod pump;
mod socket;

pub(crate) use handshake::{accept, is_handshake};
pub(crate) use socket::WebSocket;
