//! The rules: what is admitted, how failures are told, who hears of a migration.

use http::StatusCode;
use ingot_bus::{Change, DashboardEvent, Invalidation};
use ingot_http::{ApiError, Code, Forwarded, sql_error, sql_timeout};
use ingot_project::{LoginRole, ProjectId};
use ingot_sql_guard::{Profile, Script};

use super::store::{self, AppliedMigration, ApplyError};
use crate::app::App;

/// A migration to apply.
#[derive(Debug)]
pub(super) struct NewMigration {
    /// Compared as a number; leading zeros are kept.
    pub(super) version: String,
    pub(super) name: String,
    pub(super) sql: String,
}

/// Applies it as `project_admin`, records it, and tells everybody.
pub(super) async fn apply(
    app: &App,
    forwarded: &Forwarded,
    actor: &str,
    migration: NewMigration,
) -> Result<AppliedMigration, ApiError> {
    let script = app
        .guard
        .check(Profile::Migration, migration.sql.clone())
        .await?;
    if script.statements.is_empty() {
        return Err(ApiError::invalid_input("sql: contains no statement")
            .with_hint("Send at least one SQL statement beside the comments"));
    }
    let statements = script
        .statements
        .iter()
        .map(|statement| statement.text.clone())
        .collect();
    let applied = store::apply(&app.admin_pools(forwarded)?, &migration, statements)
        .await
        .map_err(|error| failed(error, &migration))?;
    let noted = store::note(
        &app.pool(forwarded, LoginRole::Service)?,
        actor,
        forwarded.client,
        &applied,
    )
    .await;
    // The migration stands, so caches and dashboards hear of it even if the trail cannot be kept.
    tell(app, &forwarded.project.id, &script).await;
    noted?;
    Ok(applied)
}

/// Hints only: whoever misses one refreshes by time.
async fn tell(app: &App, project: &ProjectId, script: &Script) {
    let mut changes = vec![Change {
        kind: "migration".to_owned(),
        name: None,
    }];
    changes.extend(script.changes().into_iter().map(|change| Change {
        kind: change.kind.as_str().to_owned(),
        name: change.name,
    }));
    let invalidated = app
        .bus
        .publish_invalidation(project, Invalidation::Schema)
        .await;
    let announced = app
        .bus
        .publish_dashboard(project, &DashboardEvent::database(changes))
        .await;
    if let Err(error) = invalidated.and(announced) {
        tracing::warn!(%project, %error, "not everybody was told of a migration");
    }
}

fn failed(error: ApplyError, migration: &NewMigration) -> ApiError {
    match error {
        ApplyError::NotNewer => ApiError::new(
            StatusCode::CONFLICT,
            Code::DatabaseMigrationAlreadyExists,
            format!(
                "A migration with version {} or a later one was already applied",
                migration.version
            ),
        )
        .with_hint("Use a version greater than every applied one"),
        ApplyError::Sql(error) => sql_error(error),
        ApplyError::Deadline => sql_timeout("15 minutes"),
    }
}
