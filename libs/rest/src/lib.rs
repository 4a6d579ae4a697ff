//! The native records engine: PostgREST's dialect on one pipelined transaction per request.
//!
//! A library without an HTTP server. [`Engine::handle`] takes a method, a path, a raw query
//! string, headers, a body and an identity, and answers with a status, headers and a body. The
//! stages are apart and, but for the last, pure: `request` parses, `plan` looks names up in the
//! `schema` cache, `sql` renders one parameterised statement, `executor` runs it, `answer` makes
//! the response.

mod answer;
mod engine;
mod error;
mod executor;
mod openapi;
mod operation;
mod plan;
mod request;
mod schema;
mod settings;
mod sql;

pub use answer::Response;
pub use engine::{BuildError, Engine};
pub use error::RestError;
pub use executor::tls::Tls;
pub use request::{Request, Session, Target};
pub use schema::{
    Column, ForeignKey, Function, ObjectName, Parameter, Relation, RelationKind, Schema, Volatility,
};
pub use settings::{EngineSettings, OpenApiMode, TransactionEnding};
