//! What every domain that runs SQL for administrators shares: the execution context, names, the
//! translation of PostgreSQL's errors (contract, database §1, §10.5, §11).

mod context;
mod literals;
mod name;
mod rows;
mod values;

pub(crate) use context::{DEADLINE, LIMIT, begin_as_admin};
pub(crate) use literals::{JsonKind, array_literal, json_text};
pub(crate) use name::{
    Schema, TableName, check_identifier, check_new_identifier, quote, quote_literal,
};
pub(crate) use rows::{Rows, RowsError, collect, field, rows_error};
pub(crate) use values::{Switches, Values, write_string};
