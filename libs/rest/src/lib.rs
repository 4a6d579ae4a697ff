//! The native records engine: PostgREST's dialect on one pipelined transaction per request.
//!
//! A library without an HTTP server. [`Engine::handle`] takes a method, a path, a raw query
//! string, headers, a body and an identity, and answers with a status, headers and a body. The
//! stages are apart and, but for the last three, pure:
//!
//! | module | does |
//! |---|---|
//! | `request` | parses the query grammar, preferences, media types, ranges and bodies |
//! | `schema` | loads and keeps what relations, functions and relationships there are |
//! | `plan` | looks names up in the schema cache and applies the dialect's rules |
//! | `sql` | renders one parameterised statement |
//! | `answer` | makes the response from the one row that comes back |
//! | `executor` | runs the settings and the statement as one transaction, in one flush |
//! | `wire` | speaks PostgreSQL's protocol |
//! | `engine` | leads a request through all of them |
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use ingot_rest::{Engine, EngineSettings, Request, Session, Target, Tls};
//!
//! let database = "host=localhost user=authenticator dbname=app".parse()?;
//! let engine = Engine::new(EngineSettings::default(), database, Tls::off())?;
//! let request = Request {
//!     method: http::Method::GET,
//!     target: Target::Relation("films".to_owned()),
//!     query: "select=title&year=gte.1960&order=title".to_owned(),
//!     headers: http::HeaderMap::new(),
//!     body: bytes::Bytes::new(),
//! };
//! let session = Session {
//!     role: "anon".to_owned(),
//!     claims: r#"{"role":"anon"}"#.to_owned(),
//!     authenticated: false,
//!     settings: Vec::new(),
//! };
//! let response = engine.handle(request, &session).await;
//! assert_eq!(response.status, 200);
//! # Ok(())
//! # }
//! ```
//!
//! # Known differences from PostgREST 12.2
//!
//! * A relation, column or type that does not exist is refused without asking PostgreSQL, with
//!   PostgreSQL's code and message. Before that, the schema cache is checked for being out of date,
//!   so that new objects are found without a reload by hand.
//! * What stands after a complete `select`, name or group of conditions is refused, not ignored.
//! * What a write answers is every row that it changed, also where the new values no longer match.
//! * Embedded resources are `json`, not `jsonb`.
//! * An answer larger than [`EngineSettings::max_response_bytes`] is refused with 413, one that finds
//!   no room in the [`AnswerMemory`] with 503.
//! * A JSON array of anything is accepted as the one unnamed argument of a function.
//! * A request leaves nothing in the session for the next one, as far as code may leave something
//!   that is not declared IMMUTABLE (functions that are called) or STABLE (views and policies).
//! * Nesting deeper than 32 levels, JSON paths of more than 256 arrows, query strings over 1 MiB and
//!   more than 32,767 values are refused with 400.

mod answer;
mod engine;
mod error;
mod executor;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
mod memory;
mod openapi;
mod operation;
mod plan;
mod request;
mod schema;
mod settings;
mod sql;
mod wire;

pub use answer::Response;
pub use engine::{BuildError, Counts, Engine, Heard, PoolStatus, database_settings};
pub use error::RestError;
pub use memory::AnswerMemory;
pub use request::{Request, Session, Target};
pub use schema::{
    Column, ForeignKey, Function, ObjectName, Parameter, Relation, RelationKind, Schema, Volatility,
};
pub use settings::{EngineSettings, OpenApiMode, TransactionEnding};
pub use wire::tls::Tls;
