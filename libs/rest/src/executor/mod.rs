//! Running statements: connections, prepared statements, one pipelined transaction per request.

mod connection;
mod lease;
mod listener;
pub(crate) mod tls;
mod transaction;

pub(crate) use connection::{Connections, open_pool};
pub(crate) use lease::Lease;
pub(crate) use listener::{Notice, listen};
pub(crate) use transaction::{Answered, Job};
