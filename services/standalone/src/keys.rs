//! The keys that clients use, as they are stored: they may have been rotated since the first start.

use anyhow::Context;
use ingot_config::{Environment, Secret, Settings as _};
use ingot_identity::SeedSettings;
use ingot_project::{LoginRole, ProjectRegistry};
use sqlx::{Connection, PgConnection};

/// The keys of the one project.
#[derive(Debug, Clone)]
pub(crate) struct Keys {
    pub(crate) api: Secret,
    pub(crate) anon: Secret,
}

impl Keys {
    /// Reads them. Seeding again changes nothing and returns what is stored.
    pub(crate) async fn read(environment: &Environment) -> anyhow::Result<Self> {
        let registry = ProjectRegistry::load(environment)?;
        let project = registry.iter().next().context("there is no project")?;
        let options = project.connect_options(LoginRole::Service);
        let mut connection = PgConnection::connect_with(&options).await?;
        let settings = SeedSettings::load(environment)?;
        let seeded = ingot_identity::seed(&mut connection, project, &settings).await?;
        connection.close().await?;
        Ok(Self {
            api: seeded.api_key,
            anon: seeded.anon_key,
        })
    }
}
