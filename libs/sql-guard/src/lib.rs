//! What administrators' SQL may not do, and what it will change, read from PostgreSQL's own parser.
//!
//! The guard gives clear refusals instead of surprises. It is not the wall: user SQL runs on a login
//! role that has no privilege worth stealing, and that must hold without this crate.
//!
//! - `rules`: the table of what is refused, with the sentence that the user reads
//! - `inspect`: applies the table to a script, also inside function bodies and `EXECUTE` strings
//! - `parser`: the C library that reads SQL
//! - `tree`: visits every node of a syntax tree; `plpgsql`: cuts PL/pgSQL bodies into statements
//! - `pieces`: reads long texts without building trees that nobody needs: `plain` and `simple` know
//!   harmless statements by their words, which `reader` reads
//! - [`boundary`]: where statements end in a text that is not parsed yet
//! - `answer`: refusals over HTTP
//! - `script`: the statements of a text, what they change, and how to split them

mod answer;
pub mod boundary;
mod changes;
#[cfg(test)]
mod differential;
mod guard;
mod inspect;
mod parser;
mod pieces;
mod plain;
mod plpgsql;
mod reader;
mod risks;
mod rules;
mod script;
mod simple;
mod tree;

// Only its feature matters: it lifts the depth limit of the tree's decoder.
use prost as _;

pub use guard::{Guard, MAX_SQL_BYTES, Refusal};
pub use risks::Risk;
pub use rules::{Profile, RULES, Rule};
pub use script::{Change, ChangeKind, Script, Statement};
