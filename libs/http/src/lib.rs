//! What every HTTP service of Ingot shares: the error envelope, body extractors with clear errors,
//! the trust in the edge, header pagination, health endpoints, and a drain that finishes requests.
//!
//! Nothing here knows a domain: no tokens, no tables.

mod body;
mod edge;
mod error;
mod health;
mod intake;
mod openapi;
mod pagination;
mod parameters;
mod routes;
mod serve;
mod sql_error;
mod timestamp;
mod traced;

pub use body::{Body, BodySettings, Valid, Validate};
pub use edge::{EdgeKey, EdgeSettings, Forwarded, SharedKey, header};
pub use error::{ApiError, Code};
pub use health::{Check, CheckResult, Health};
pub use intake::with_bodies;
pub use openapi::Problem;
pub use pagination::{Page, Paged};
pub use parameters::{Path, Query};
pub use routes::Routes;
pub use serve::{ListenSettings, ServeError, continues_session, serve, serve_tuned};
pub use sql_error::{sql_error, sql_timeout};
pub use timestamp::{Timestamp, timestamp};
