//! Running statements: the pool, prepared statements, one transaction per request.

mod lease;
mod listener;
mod pool;
mod query;
mod statements;
mod traces;
mod transaction;

pub(crate) use listener::{Notice, listen};
pub(crate) use pool::{Connections, close_idle, open_pool};
pub(crate) use query::query;
pub(crate) use traces::Traces;
pub(crate) use transaction::{Answered, Job};
