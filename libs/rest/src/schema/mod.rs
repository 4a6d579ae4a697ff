//! The schema cache: what relations, functions and relationships there are.
//!
//! `model` is the data, `loader` reads the catalogue in one round trip, `build` makes sense of it, `relationships` derives what can be
//! embedded in what, `store` holds the current version and swaps it.

mod build;
mod dump;
mod loader;
mod model;
pub(crate) mod relationships;
mod rows;
#[cfg(test)]
pub(crate) mod sample;
pub(crate) mod similar;
mod store;
mod view_columns;

pub use model::{
    Column, ForeignKey, Function, ObjectName, Parameter, Relation, RelationKind, Schema, Volatility,
};
pub(crate) use model::{Returns, SYSTEM_COLUMNS};
pub(crate) use store::SchemaStore;
