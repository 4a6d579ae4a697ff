//! PostgreSQL's frontend/backend protocol, version 3, as far as an engine of pipelines needs it.
//!
//! A [`Connection`] is driven by the task that uses it: a [`Batch`] of statements leaves in one
//! write, and [`Connection::exchange`] reads until all of it is answered. There is no background
//! task and no queue. What the statements are is not known here; pooling is the executor's.

mod answers;
mod any_server;
mod batch;
mod cancel;
mod connect;
mod connection;
mod error;
mod socket;
mod startup;
pub(crate) mod tls;

pub(crate) use answers::{Answers, Row};
pub(crate) use batch::{Batch, Source};
pub(crate) use connect::connect;
pub(crate) use connection::Connection;
pub(crate) use error::{Fault, WireError};

#[cfg(test)]
mod tests;
