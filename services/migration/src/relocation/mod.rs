//! The platform's own part of a project, out of one database and into another: what `ingot backup`
//! and `ingot restore` do as the owner. The project's own objects are the api's to carry, with an
//! administrator's powers and not the owner's.
//!
//! `tables` knows which rows are carried, `source` reads them at one moment, `place` is the database
//! that takes them and in the end the other one's name, with the same `extensions`; `inhabitants` is
//! what that other one has, `rows` writes.

mod extensions;
mod inhabitants;
mod place;
mod rows;
mod source;
mod tables;

use std::sync::Arc;

use ingot_project::Project;
use serde::{Deserialize, Serialize};

pub use place::Place;
pub use rows::RowsIn;
pub use source::Source;
pub use tables::{Column, Table};

use crate::BootstrapConfig;

/// What a database must be like for what came out of another one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// Newest step of the schema.
    pub schema_step: u32,
    /// Version of PostgreSQL.
    pub postgresql: String,
    /// What was installed beside what every database has.
    pub extensions: Vec<Extension>,
}

/// An extension of a database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extension {
    /// Its name.
    pub name: String,
    /// The schema that it is in.
    pub schema: String,
    /// Whether the project's administrator installed it, and so may remove it.
    pub of_project: bool,
    /// Whether the schema is the project's.
    pub schema_of_project: bool,
}

fn only_project(config: &BootstrapConfig) -> anyhow::Result<Arc<Project>> {
    let mut projects = config.registry.iter();
    match (projects.next(), projects.next()) {
        (Some(project), None) => Ok(Arc::clone(project)),
        _ => anyhow::bail!("the settings must name one project"),
    }
}
