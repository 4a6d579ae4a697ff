//! What a project is, which project a request belongs to, and the connections that belong to it.
//!
//! A project is a database of its own with its own secrets, hosts and limits. Everything that a
//! service caches or opens is keyed by [`ProjectId`]. A project's login roles can reach no other
//! database, so that isolation does not rest on this code alone.

mod admin;
mod database;
mod pools;
mod registry;

pub use admin::{AdminPools, AdminSession, set_trace};
pub use database::{Database, DatabaseSettings, LoginRole};
pub use pools::{PoolError, PoolSettings, Pools};
pub use registry::{ProjectRegistry, ProjectSettings, RegistryError};

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use ingot_config::Secret;

/// Name of a project: 1 to 40 of `a-z 0-9 _`, starting with a letter. It is part of role names
/// and bus subjects, hence the narrow alphabet.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProjectId(Arc<str>);

impl ProjectId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ProjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A text that is no project id.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not a project id: use 1 to 40 of a-z, 0-9 and _, starting with a letter")]
pub struct InvalidProjectId(String);

impl FromStr for ProjectId {
    type Err = InvalidProjectId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let well_formed = (1..=40).contains(&text.len())
            && text.starts_with(|c: char| c.is_ascii_lowercase())
            && text
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        if well_formed {
            Ok(Self(text.into()))
        } else {
            Err(InvalidProjectId(text.to_owned()))
        }
    }
}

/// A project: what every service needs to know to act for it.
#[derive(Debug, Clone)]
pub struct Project {
    /// Its name.
    pub id: ProjectId,
    /// Lower-case host names that lead to it; empty means that every host does.
    pub hosts: Vec<String>,
    /// Its database.
    pub database: Database,
    /// Signs refresh tokens, CSRF values and third-party access tokens (HS256).
    pub jwt_secret: Secret,
    /// Key material for `system.secrets`; the JWT secret when not set apart.
    pub encryption_key: Secret,
    /// Whether third-party access tokens may name `project_admin` (contract, auth §13).
    pub third_party_admins: bool,
    /// Its id at a cloud control plane, whose tokens then open it to its administrators.
    pub cloud_project: Option<String>,
}
