//! From a plan to one parameterised statement.
//!
//! Values are always parameters; identifiers come from the schema cache or are labels that the
//! client chose, and both are always quoted. The text therefore depends only on the request's
//! shape, and prepared statements can be reused.

mod builder;
mod call;
mod columns;
mod mutate;
mod predicate;
mod read;
mod statement;

pub(crate) use builder::Parameter;
pub(crate) use statement::{
    BodyFormat, Statement, Total, call_statement, explain_count, mutate_statement, read_statement,
};
