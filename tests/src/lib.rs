//! Whole stacks for end-to-end tests: every service, several of some, on a test's own project.
//!
//! [`TestStack`] runs them in the test's process, which is quick; [`TestCluster`] as programs of
//! their own, which can be killed. The tests are in `tests/`, the scripts that drive the official clients in `clients/`.

pub mod chaos;
mod cluster;
mod collector;
pub mod monitoring;
pub mod rehearsal;
mod tools;

pub use cluster::{PausedRestarts, TestCluster, eventually, is_running};
pub use collector::Collector;
pub use tools::tool;

use std::time::Duration;

use anyhow::Context;
use ingot_config::{Environment, Settings as _};
use ingot_standalone::{Counts, InProcess, Plan, Service, Settings, wait_until_ready};
use ingot_telemetry::TelemetrySettings;
use ingot_testkit::{Node, TestProject};

const READY_PATIENCE: Duration = Duration::from_mins(1);

/// A running stack behind its edges.
#[derive(Debug)]
pub struct TestStack {
    // Dropped before the project, whose database the services use.
    services: InProcess,
    plan: Plan,
    project: TestProject,
}

impl TestStack {
    /// Starts that many services on a fresh project and waits until all are ready.
    ///
    /// # Errors
    /// Something does not start.
    pub async fn start(counts: Counts) -> anyhow::Result<Self> {
        show_warnings();
        let project = TestProject::create().await?;
        // Every client of a test has the same address.
        let environment = project.environment().with([
            ("TRUST_PROXY", "0"),
            ("INGOT_EDGE_ADDRESS", "127.0.0.1"),
            ("INGOT_DRAIN_TIMEOUT", "5"),
            ("INGOT_EDGE_DRAIN_TIMEOUT", "5"),
        ]);
        let plan = Plan::choose(counts, Some(0))?;
        let mut services = InProcess::start(&plan, &environment, &Settings::default())?;
        tokio::select! {
            ready = wait_until_ready(plan.members(), READY_PATIENCE, |_| {}) => ready?,
            error = services.failure() => return Err(error),
        }
        Ok(Self {
            services,
            plan,
            project,
        })
    }

    /// The project.
    pub fn project(&self) -> &TestProject {
        &self.project
    }

    /// What runs where.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// URL of a path at the first edge.
    pub fn url(&self, path: &str) -> String {
        let edge = self.plan.edge_urls().into_iter().next();
        format!("{}{path}", edge.unwrap_or_default())
    }

    /// A script of `clients/` that is told this stack by variables as in `stack.env`.
    pub fn script(&self, path: &str) -> Node {
        let project = &self.project;
        let fanout: Vec<_> = self
            .plan
            .of(Service::RealtimeFanout)
            .map(|node| node.address.to_string())
            .collect();
        Node::script(path)
            .env("BASE_URL", self.url(""))
            .env("EDGE_URLS", self.plan.edge_urls().join(","))
            .env("API_KEY", project.api_key().expose())
            .env("ANON_KEY", project.anon_key().expose())
            .env("ADMIN_USERNAME", project.admin_username())
            .env("ADMIN_PASSWORD", project.admin_password())
            .env("DATABASE_URL", project.superuser_url())
            .env("REALTIME_FANOUT_ADDRESSES", fanout.join(","))
    }

    /// Stops everything and waits for it.
    ///
    /// # Errors
    /// A service did not end well.
    pub async fn stop(self) -> anyhow::Result<()> {
        self.services
            .stop()
            .await
            .context("the stack does not stop")
    }
}

/// Warnings of the services, for a test that fails; `LOG_LEVEL` shows more.
fn show_warnings() {
    let given = Environment::from_process().unwrap_or_default();
    let level = given.get("LOG_LEVEL").unwrap_or("warn");
    let settings = Environment::from_pairs([("LOG_LEVEL", level), ("INGOT_LOG_FORMAT", "text")]);
    let Ok(settings) = TelemetrySettings::load(&settings) else {
        return;
    };
    // Fails when an earlier test of this process did the same.
    ingot_telemetry::init(&settings, "ingot-e2e").ok();
}
