//! Brings all projects' databases up, a few at a time, and knows which are.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, bail};
use ingot_project::{Project, ProjectId, ProjectRegistry};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::database::{BringUpError, Owner, is_passing};
use crate::BootstrapConfig;

/// Databases that are worked on at once. A waiting one is not counted.
const CONCURRENCY: usize = 4;
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// Refusals in a row after which people are told. A single one may come from replicas that do the
/// same at the same moment.
const REFUSALS_TO_BELIEF: u32 = 2;

/// Clones share the state.
#[derive(Debug, Clone)]
pub(crate) struct Gate {
    owner: Arc<Owner>,
    registry: Arc<ProjectRegistry>,
    slots: Arc<Semaphore>,
    /// What still keeps a project closed; absent once its database is up.
    closed: Arc<Mutex<BTreeMap<ProjectId, Obstacle>>>,
}

/// What keeps a project closed.
#[derive(Debug)]
struct Obstacle {
    /// In a sentence.
    reason: String,
    /// How often in a row the database gave a reason that waiting does not heal.
    refusals: u32,
}

impl Gate {
    /// A gate with every project closed.
    pub(crate) fn new(config: &BootstrapConfig, registry: Arc<ProjectRegistry>) -> Self {
        let closed = registry
            .iter()
            .map(|project| (project.id.clone(), Obstacle::unknown()))
            .collect();
        Self {
            owner: Arc::new(Owner::new(config)),
            registry,
            slots: Arc::new(Semaphore::new(CONCURRENCY)),
            closed: Arc::new(Mutex::new(closed)),
        }
    }

    /// What keeps the first closed project closed.
    pub(crate) fn check(&self) -> Result<(), String> {
        let closed = self.closed.lock().unwrap_or_else(PoisonError::into_inner);
        match closed.first_key_value() {
            Some((project, obstacle)) => Err(format!("project {project}: {}", obstacle.reason)),
            None => Ok(()),
        }
    }

    /// What keeps a project closed until somebody acts, if anything does. Trying goes on meanwhile.
    pub(crate) fn refusal(&self) -> Option<String> {
        let closed = self.closed.lock().unwrap_or_else(PoisonError::into_inner);
        let mut refused = closed
            .iter()
            .filter(|(_, obstacle)| obstacle.refusals >= REFUSALS_TO_BELIEF);
        let (project, obstacle) = refused.next()?;
        Some(format!("project {project}: {}", obstacle.reason))
    }

    /// Opens the gate for every project, trying for as long as it takes or until `shutdown`.
    pub(crate) async fn open(self, shutdown: CancellationToken) {
        let opened = self.open_each(|_| false);
        tokio::select! {
            _ = opened => {}
            () = shutdown.cancelled() => {}
        }
    }

    /// As [`Self::open`], but an error that waiting cannot heal ends it.
    pub(crate) async fn open_or_fail(self, shutdown: CancellationToken) -> anyhow::Result<()> {
        let opened = self.open_each(|error| !is_passing(error));
        tokio::select! {
            result = opened => result,
            () = shutdown.cancelled() => bail!("stopped before the databases were up to date"),
        }
    }

    async fn open_each(&self, gives_up: fn(&BringUpError) -> bool) -> anyhow::Result<()> {
        let mut projects = JoinSet::new();
        for project in self.registry.iter() {
            let (gate, project) = (self.clone(), Arc::clone(project));
            projects.spawn(async move { gate.open_one(&project, gives_up).await });
        }
        // The others are tried to their end before the first failure is told.
        let mut outcome = Ok(());
        while let Some(finished) = projects.join_next().await {
            outcome = outcome.and(finished?);
        }
        outcome
    }

    async fn open_one(
        &self,
        project: &Project,
        gives_up: fn(&BringUpError) -> bool,
    ) -> anyhow::Result<()> {
        let mut pause = FIRST_PAUSE;
        loop {
            let slot = self.slots.acquire().await?;
            let result = self.owner.bring_up(project).await;
            drop(slot);
            match result {
                Ok(_) => {
                    self.open_to(project);
                    return Ok(());
                }
                Err(error) if gives_up(&error) => {
                    return Err(error).with_context(|| format!("project {}", project.id));
                }
                Err(error) => {
                    tracing::warn!(project = %project.id, %error, "database is not up yet");
                    self.keep_closed(project, &error);
                }
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    fn open_to(&self, project: &Project) {
        let mut closed = self.closed.lock().unwrap_or_else(PoisonError::into_inner);
        closed.remove(&project.id);
    }

    fn keep_closed(&self, project: &Project, error: &BringUpError) {
        let mut closed = self.closed.lock().unwrap_or_else(PoisonError::into_inner);
        let obstacle = closed
            .entry(project.id.clone())
            .or_insert_with(Obstacle::unknown);
        obstacle.reason = error.to_string();
        obstacle.refusals = if is_passing(error) {
            0
        } else {
            obstacle.refusals + 1
        };
    }
}

impl Obstacle {
    fn unknown() -> Self {
        Self {
            reason: "not looked at yet".to_owned(),
            refusals: 0,
        }
    }
}
