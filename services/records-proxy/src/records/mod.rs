//! `/api/database/records/{table}` and `/api/database/rpc/{function}` (contract, database §4): the
//! platform's rules around whichever engine executes the requests.

mod answer;
mod blanks;
mod events;
mod headers;
mod routes;
mod schema;
mod service;
mod store;
mod watch;

pub(crate) use events::{Events, publish};
pub(crate) use routes::{Api, router};
pub(crate) use service::Records;
pub(crate) use store::ColumnTypes;
pub(crate) use watch::SchemaWatch;
