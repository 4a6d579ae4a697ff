//! What is done to each project of a fleet, and what is told about it.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use ingot_project::{LoginRole, Project, ProjectId};
use ingot_schema::{SchemaError, latest_version};
use sqlx::{ConnectOptions as _, Connection as _};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::members::{Fleet, Member};
use crate::bootstrap::{is_passing, within_timeout};

const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// What to do to each project.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Bring it up: database, steps, logins, keys. A database that is away is waited for this long.
    Up {
        /// Longest time of one project's waiting.
        patience: Duration,
    },
    /// Say which steps it has. Reads only.
    Status,
    /// Say whether services of this build would work on it: all steps, unchanged, and logins that
    /// let them in. Reads only.
    Verify,
}

/// What became of one project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The project.
    pub project: ProjectId,
    /// Its state.
    pub state: State,
    /// Time spent on it, without the waiting for its turn.
    pub took: Duration,
}

/// How a project is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// It has every step of this build.
    Current {
        /// How many were applied just now.
        applied: usize,
    },
    /// It lacks steps; nothing was done about it.
    Behind {
        /// Newest applied step, 0 for none.
        step: u32,
        /// How many it lacks.
        pending: usize,
    },
    /// Its database does not exist.
    NoDatabase,
    /// It could not be looked at or brought up; the others were.
    Failed {
        /// Why, and what to do.
        reason: String,
    },
    /// The command was stopped before its turn came, or in the middle of a step, which was undone.
    Stopped,
}

impl State {
    /// Whether services of this build work on it.
    pub fn is_current(&self) -> bool {
        matches!(self, Self::Current { .. })
    }
}

impl Fleet {
    /// Does `action` to every project, at most `concurrency` at a time, and returns a report for
    /// each, by name. `watch` hears of each as soon as it is done. After `shutdown` no further
    /// project is begun and those under way are left: PostgreSQL undoes their open step.
    pub async fn run(
        &self,
        action: Action,
        concurrency: NonZeroUsize,
        shutdown: &CancellationToken,
        watch: impl Fn(&Report),
    ) -> Vec<Report> {
        let slots = Arc::new(Semaphore::new(concurrency.get()));
        let mut work = JoinSet::new();
        for member in &self.members {
            let (member, slots) = (member.clone(), Arc::clone(&slots));
            let shutdown = shutdown.clone();
            work.spawn(async move {
                let project = member.project.id.clone();
                let mut began = None;
                let done = async {
                    let _slot = slots.acquire().await.ok()?;
                    began = Some(Instant::now());
                    Some(member.act(action).await)
                };
                let state = shutdown.run_until_cancelled(done).await.flatten();
                Report {
                    project,
                    state: state.unwrap_or(State::Stopped),
                    took: began.map_or(Duration::ZERO, |began| began.elapsed()),
                }
            });
        }
        let mut reports = Vec::with_capacity(self.size());
        while let Some(finished) = work.join_next().await {
            // A task neither panics nor is aborted.
            if let Ok(report) = finished {
                watch(&report);
                reports.push(report);
            }
        }
        reports.sort_by(|one, other| one.project.as_str().cmp(other.project.as_str()));
        reports
    }
}

impl Member {
    async fn act(&self, action: Action) -> State {
        let outcome = match action {
            Action::Up { patience } => self.bring_up(patience).await,
            Action::Status => self.look().await.map_err(|error| error.to_string()),
            Action::Verify => self.verify().await,
        };
        outcome.unwrap_or_else(|reason| State::Failed { reason })
    }

    async fn bring_up(&self, patience: Duration) -> Result<State, String> {
        let deadline = Instant::now() + patience;
        let mut pause = FIRST_PAUSE;
        loop {
            match self.owner.bring_up(&self.project).await {
                Ok(applied) => return Ok(State::Current { applied }),
                Err(error) if is_passing(&error) && Instant::now() + pause < deadline => {
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
                Err(error) => return Err(error.to_string()),
            }
        }
    }

    async fn look(&self) -> Result<State, SchemaError> {
        Ok(match self.owner.look(&self.project).await? {
            None => State::NoDatabase,
            Some(status) if status.pending.is_empty() => State::Current { applied: 0 },
            Some(status) => State::Behind {
                step: status.applied.last().map_or(0, |step| step.number),
                pending: status.pending.len(),
            },
        })
    }

    async fn verify(&self) -> Result<State, String> {
        let state = self.look().await.map_err(|error| error.to_string())?;
        if state.is_current() {
            for login in LoginRole::ALL {
                lets_in(&self.project, login).await?;
            }
        }
        Ok(state)
    }
}

async fn lets_in(project: &Project, login: LoginRole) -> Result<(), String> {
    let connecting = project.connect_options(login);
    let connection = within_timeout(connecting.connect()).await.map_err(|error| {
        format!(
            "all {} steps are there, but {} is not let in ({error}): run `ingot migrate up` with \
             this project's ENCRYPTION_KEY",
            latest_version(),
            login.name(&project.id),
        )
    })?;
    connection.close().await.ok();
    Ok(())
}
