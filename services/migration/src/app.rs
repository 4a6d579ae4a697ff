//! What the parts of the service share, and what readiness depends on.

use std::sync::Arc;

use ingot_http::{CheckResult, Health};
use ingot_project::{LoginRole, Pools};

use crate::Config;
use crate::bootstrap::{Gate, Owner};

/// State of the service; clones share everything.
#[derive(Debug, Clone)]
pub(crate) struct App {
    /// Connections by project and login role.
    pub(crate) pools: Pools,
    /// Which databases are up to date.
    pub(crate) gate: Gate,
}

impl App {
    /// The shared state. Nothing is connected yet when this returns.
    pub(crate) fn new(config: &Config) -> Self {
        let registry = Arc::new(config.registry.clone());
        let owner = Owner {
            name: config.owner.owner.clone(),
            password: config.owner.owner_password.clone(),
            maintenance_database: config.migration.maintenance_database.clone(),
        };
        Self {
            gate: Gate::new(owner, Arc::clone(&registry)),
            pools: Pools::new(registry, config.pools.clone()),
        }
    }

    /// Ready once the gate is open, and while every database answers with the schema of this build.
    pub(crate) fn health(&self) -> Health {
        let app = self.clone();
        Health::new(vec![(
            "schema",
            Box::new(move || {
                let app = app.clone();
                Box::pin(async move { app.schemas_are_current().await })
            }),
        )])
    }

    async fn schemas_are_current(&self) -> CheckResult {
        self.gate.check()?;
        for project in self.pools.registry().iter() {
            let pool = self
                .pools
                .get(&project.id, LoginRole::Service)
                .map_err(|error| error.to_string())?;
            ingot_schema::check_current(&pool)
                .await
                .map_err(|error| format!("project {}: {error}", project.id))?;
        }
        Ok(())
    }
}
