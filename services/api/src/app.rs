//! What all handlers share, and what readiness depends on.

use std::sync::Arc;

use ingot_bus::Bus;
use ingot_http::{CheckResult, Health};
use ingot_project::{LoginRole, Pools};

use crate::Config;

/// State of the router; clones share everything.
#[derive(Debug, Clone)]
pub(crate) struct App {
    /// Connections by project and login role.
    pub(crate) pools: Pools,
    /// Events to dashboards and to the caches of other services.
    pub(crate) bus: Bus,
}

impl App {
    /// The shared state. Nothing is connected yet when this returns.
    pub(crate) async fn new(config: &Config) -> anyhow::Result<Self> {
        Ok(Self {
            pools: Pools::new(Arc::new(config.registry.clone()), config.pools.clone()),
            bus: Bus::connect(&config.bus, "ingot-api").await?,
        })
    }

    /// Ready while every project's database and NATS answer.
    pub(crate) fn health(&self) -> Health {
        let (pools, bus) = (self.pools.clone(), self.bus.clone());
        Health::new(vec![
            (
                "database",
                Box::new(move || Box::pin(database_answers(pools.clone()))),
            ),
            (
                "nats",
                Box::new(move || {
                    let connected = bus.is_connected();
                    Box::pin(async move { connected.then_some(()).ok_or("not connected".into()) })
                }),
            ),
        ])
    }
}

async fn database_answers(pools: Pools) -> CheckResult {
    for project in pools.registry().iter() {
        let pool = pools
            .get(&project.id, LoginRole::Service)
            .map_err(|error| error.to_string())?;
        sqlx::query("select 1")
            .execute(&pool)
            .await
            .map_err(|error| format!("project {}: {error}", project.id))?;
    }
    Ok(())
}
