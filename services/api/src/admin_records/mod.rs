//! Rows as the dashboard's table editor handles them, as `project_admin` (contract, database §5).
//!
//! Values reach SQL as literals of unknown type, which PostgreSQL reads by the column's type, and
//! come back as the rest of the direct-SQL routes show them.

mod columns;
mod query;
mod routes;
mod service;
mod store;

pub(crate) use routes::{Document, router};
