//! The rules of backups: one thing at a time, and what may happen beside it.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use ingot_http::{ApiError, Code, Timestamp, timestamp};
use ingot_project::{LoginRole, Project};
use serde::Serialize;
use sqlx::PgPool;
use time::OffsetDateTime;
use uuid::Uuid;

use super::cron::Schedule;
use super::store::{self, Backup, Config, Exclusive, Work};
use super::{Backups, restore};
use crate::app::App;

/// Longest wait for somebody else to finish.
const PATIENCE: Duration = Duration::from_millis(1500);

/// Where a project's backups are made and brought back.
#[derive(Debug, Clone)]
pub(super) struct Desk {
    app: App,
    project: Arc<Project>,
    pool: PgPool,
    backups: Arc<Backups>,
}

/// Settings as they are shown.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct ShownConfig {
    backup: ShownSchedule,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ShownSchedule {
    pub(super) enabled: bool,
    pub(super) cron_schedule: String,
    pub(super) retention_days: Option<i32>,
    pub(super) next_backup_at: Option<String>,
}

/// What shall be different; `None` stays.
#[derive(Debug, Default)]
pub(super) struct ConfigChange {
    pub(super) enabled: Option<bool>,
    pub(super) cron: Option<String>,
    pub(super) retention_days: Option<Given<i32>>,
}

/// What a caller gave for a field, which may be null.
#[derive(Debug, Clone, Copy)]
pub(super) struct Given<T>(pub(super) Option<T>);

impl Desk {
    pub(super) fn new(app: &App, project: &Arc<Project>) -> Result<Self, ApiError> {
        let pool = app.pools.get(&project.id, LoginRole::Service);
        Ok(Self {
            app: app.clone(),
            project: Arc::clone(project),
            pool: pool.map_err(|error| ApiError::internal(&error))?,
            backups: Arc::clone(&app.backups),
        })
    }

    /// All backups. Those that nobody works on any more count as failed.
    pub(super) async fn list(&self) -> Result<Vec<Backup>, ApiError> {
        if let Some(_alone) = store::exclude(&self.pool, Work::Files, Duration::ZERO).await? {
            self.tidy().await?;
        }
        let days = store::config(&self.pool)
            .await?
            .and_then(|it| it.retention_days);
        let mut backups = store::list(&self.pool).await?;
        for backup in &mut backups {
            let expires = backup.trigger_source == "scheduled" && backup.status != "running";
            backup.expires_at = days.filter(|_| expires).and_then(|days| {
                let span = time::Duration::days(i64::from(days));
                backup.created_at.0.checked_add(span).map(Timestamp)
            });
        }
        Ok(backups)
    }

    /// Begins a backup, which goes on when this returns.
    pub(super) async fn create(
        &self,
        name: Option<&str>,
        trigger: &str,
        created_by: Option<&str>,
    ) -> Result<Backup, ApiError> {
        let alone = store::exclude(&self.pool, Work::Files, PATIENCE).await?;
        let alone = alone.ok_or_else(|| busy("Another backup or a restore is in progress"))?;
        self.tidy().await?;
        let backup = store::begin(&self.pool, name, trigger, created_by)
            .await
            .map_err(name_taken)?;
        let (desk, id) = (self.clone(), backup.id);
        tokio::spawn(async move { desk.make(id, alone).await });
        Ok(backup)
    }

    async fn make(&self, id: Uuid, alone: Exclusive) {
        let key = key(id);
        let writing = async {
            let pools = self.app.pools.admin(&self.project.id)?;
            self.backups.write(&self.project, &pools, &key).await
        };
        let written = self.app.shutdown.run_until_cancelled(writing).await;
        let noted = match written {
            Some(Ok(size)) => {
                let size = i64::try_from(size).unwrap_or(i64::MAX);
                store::complete(&self.pool, id, &key, size).await
            }
            Some(Err(error)) => {
                tracing::error!(project = %self.project.id, %error, "a backup failed");
                store::fail(&self.pool, id, &format!("{error:#}")).await
            }
            None => {
                store::fail(
                    &self.pool,
                    id,
                    "The backup was interrupted: the server stopped",
                )
                .await
            }
        };
        // Whoever looks next finds that nobody works on it.
        if let Err(error) = noted {
            tracing::error!(project = %self.project.id, %error, "a backup's end was not recorded");
        }
        drop(alone);
    }

    /// Ends what interrupted backups left; only while nobody makes one.
    async fn tidy(&self) -> Result<(), ApiError> {
        store::fail_interrupted(&self.pool).await?;
        if let Err(error) = self.backups.sweep(&self.project).await {
            tracing::warn!(%error, "remains of a backup were not removed");
        }
        Ok(())
    }

    pub(super) async fn rename(&self, id: Uuid, name: Option<&str>) -> Result<Backup, ApiError> {
        let _records = self.records().await?;
        let renamed = store::rename(&self.pool, id, name).await;
        renamed.map_err(name_taken)?.ok_or_else(|| unknown(id))
    }

    pub(super) async fn remove(&self, id: Uuid) -> Result<(), ApiError> {
        let _records = self.records().await?;
        let backup = self.find(id).await?;
        let alone = if backup.status == "running" {
            let alone = store::exclude(&self.pool, Work::Files, PATIENCE).await?;
            Some(alone.ok_or_else(|| busy("The backup is still being made"))?)
        } else {
            None
        };
        self.discard(&backup).await?;
        drop(alone);
        Ok(())
    }

    async fn discard(&self, backup: &Backup) -> Result<(), ApiError> {
        if let Some(key) = &backup.storage_key
            && let Err(error) = self.backups.remove(&self.project, key).await
        {
            tracing::warn!(%error, key, "a backup's files were not removed");
        }
        Ok(store::remove(&self.pool, backup.id).await?)
    }

    /// Brings the backup back and returns when that is done.
    pub(super) async fn restore(&self, id: Uuid) -> Result<(), ApiError> {
        let backup = self.find(id).await?;
        let alone = store::exclude(&self.pool, Work::Files, PATIENCE).await?;
        let _alone = alone.ok_or_else(|| busy("A backup or another restore is in progress"))?;
        let _records = self.records().await?;
        let ("completed", Some(key)) = (backup.status.as_str(), &backup.storage_key) else {
            return Err(busy("Only a completed backup can be restored"));
        };
        let pools = self.app.pools.admin(&self.project.id);
        let pools = pools.map_err(|error| ApiError::internal(&error))?;
        restore::restore(&self.backups, &self.project, &pools, &self.pool, key).await
    }

    async fn find(&self, id: Uuid) -> Result<Backup, ApiError> {
        let found = store::find(&self.pool, id).await?;
        found.ok_or_else(|| unknown(id))
    }

    async fn records(&self) -> Result<Exclusive, ApiError> {
        let records = store::exclude(&self.pool, Work::Records, PATIENCE).await?;
        records.ok_or_else(|| busy("A restore is in progress"))
    }

    pub(super) async fn config(&self) -> Result<ShownConfig, ApiError> {
        Ok(shown(self.stored_config().await?))
    }

    pub(super) async fn change_config(
        &self,
        change: ConfigChange,
    ) -> Result<ShownConfig, ApiError> {
        let _records = self.records().await?;
        let old = self.stored_config().await?;
        let mut new = old.clone();
        new.enabled = change.enabled.unwrap_or(old.enabled);
        new.cron = change.cron.unwrap_or_else(|| old.cron.clone());
        new.retention_days = change
            .retention_days
            .map_or(old.retention_days, |Given(days)| days);
        if new.enabled || new.cron != old.cron {
            Schedule::parse(&new.cron).map_err(|complaint| {
                ApiError::invalid_input(format!("backup.cronSchedule: {complaint}"))
            })?;
        }
        if (new.enabled, &new.cron) != (old.enabled, &old.cron) {
            new.anchor = OffsetDateTime::now_utc();
        }
        store::set_config(&self.pool, &new).await?;
        Ok(shown(new))
    }

    async fn stored_config(&self) -> Result<Config, ApiError> {
        store::config(&self.pool).await?.ok_or_else(|| {
            ApiError::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                Code::DatabaseInternalError,
                "The row of system.database_config is missing",
            )
            .with_hint("Insert it again: insert into system.database_config default values")
        })
    }

    /// Makes the scheduled backup if one is due at `now`, and forgets the expired ones after it.
    /// While something else is in progress it stays due.
    pub(super) async fn run_due(&self, now: OffsetDateTime) -> Result<bool, ApiError> {
        let config = self.stored_config().await?;
        let due = Schedule::parse(&config.cron)
            .ok()
            .filter(|_| config.enabled)
            .and_then(|schedule| schedule.until(now));
        let last = store::last_attempt(&self.pool).await?;
        let since = last.map_or(config.anchor, |last| last.max(config.anchor));
        if due.is_none_or(|due| due <= since) {
            return Ok(false);
        }
        self.create(None, "scheduled", None).await?;
        if let Some(days) = config.retention_days {
            for backup in store::expired(&self.pool, days).await? {
                self.discard(&backup).await?;
            }
        }
        Ok(true)
    }
}

fn shown(config: Config) -> ShownConfig {
    let next = Schedule::parse(&config.cron)
        .ok()
        .filter(|_| config.enabled)
        .and_then(|schedule| schedule.after(OffsetDateTime::now_utc()));
    ShownConfig {
        backup: ShownSchedule {
            enabled: config.enabled,
            cron_schedule: config.cron,
            retention_days: config.retention_days,
            next_backup_at: next.map(timestamp),
        },
    }
}

impl ShownConfig {
    /// What the audit trail keeps.
    pub(super) fn schedule(&self) -> &ShownSchedule {
        &self.backup
    }
}

/// `20260131_090500_<id>`, in UTC.
fn key(id: Uuid) -> String {
    let now = OffsetDateTime::now_utc();
    format!(
        "{:04}{:02}{:02}_{:02}{:02}{:02}_{id}",
        now.year(),
        u8::from(now.month()),
        now.day(),
        now.hour(),
        now.minute(),
        now.second()
    )
}

fn busy(message: &'static str) -> ApiError {
    ApiError::new(
        StatusCode::CONFLICT,
        Code::DatabaseConstraintViolation,
        message,
    )
    .with_hint("Try again when it is done")
}

fn unknown(id: Uuid) -> ApiError {
    ApiError::new(
        StatusCode::NOT_FOUND,
        Code::DatabaseNotFound,
        format!("There is no backup {id}"),
    )
    .with_hint("GET /api/database/backups lists what there is")
}

fn name_taken(error: sqlx::Error) -> ApiError {
    let taken = error
        .as_database_error()
        .is_some_and(|error| error.code().is_some_and(|code| code == "23505"));
    if !taken {
        return error.into();
    }
    ApiError::new(
        StatusCode::CONFLICT,
        Code::DatabaseDuplicate,
        "There is a backup with this name already",
    )
    .with_hint("Choose another name, or rename the other one")
}
