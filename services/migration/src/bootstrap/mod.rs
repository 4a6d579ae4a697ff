//! Bringing a project's database up: create it, apply the system migrations, prepare its login
//! roles, seed its keys. [`Gate`] does that for all projects and knows how far it came.

mod database;
mod gate;

pub(crate) use database::{BringUpError, Owner, is_passing, within_timeout};
pub(crate) use gate::Gate;
