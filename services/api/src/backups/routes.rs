//! `/api/database/backups` and `/api/database/config`.

use axum::Json;
use axum::extract::State;
use axum::routing::{get, patch, post};
use http::StatusCode;
use ingot_bus::{Change, DashboardEvent, Invalidation};
use ingot_http::{ApiError, Forwarded, Path, Routes, Valid, Validate};
use ingot_identity::VerifyAdmin;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::json;
use uuid::Uuid;

use super::cron;
use super::service::{ConfigChange, Desk, Given, ShownConfig};
use super::store::Backup;
use crate::app::App;

/// Longest name of a backup, in characters.
const MAX_NAME: usize = 64;

/// Longest time that scheduled backups are kept, in days.
const MAX_DAYS: i32 = 3650;

/// What the handlers of this file take and answer.
#[derive(utoipa::OpenApi)]
#[openapi(paths(list, create, rename, remove, restore, config, change_config))]
pub(crate) struct Document;

/// The routes under `/api/database/backups`.
pub(crate) fn router() -> Routes<App> {
    Routes::new()
        .route("/", get(list).post(create))
        .route("/{id}", patch(rename).delete(remove))
        .route("/{id}/restore", post(restore))
}

/// The routes under `/api/database/config`.
pub(crate) fn config_router() -> Routes<App> {
    Routes::new().route("/", get(config).patch(change_config))
}

#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Backups)]
struct Listing {
    backups: Vec<Backup>,
}

#[utoipa::path(
    get,
    path = "/api/database/backups",
    tag = "backups",
    operation_id = "listBackups",
    responses(
        (status = 200, body = Listing),
        ApiError
    ),
)]
async fn list(
    State(app): State<App>,
    _: VerifyAdmin,
    forwarded: Forwarded,
) -> Result<Json<Listing>, ApiError> {
    let backups = Desk::new(&app, &forwarded.project)?.list().await?;
    Ok(Json(Listing { backups }))
}

#[derive(Deserialize, utoipa::ToSchema)]
struct Creation {
    #[schema(min_length = 1, max_length = 64)]
    name: Option<String>,
}

impl Validate for Creation {
    fn validate(&self, complain: &mut dyn FnMut(&str, &str)) {
        check_name(self.name.as_deref(), complain);
    }
}

fn check_name(name: Option<&str>, complain: &mut dyn FnMut(&str, &str)) {
    let Some(name) = name else { return };
    if !(1..=MAX_NAME).contains(&name.trim().chars().count()) || name.contains('\0') {
        complain("name", "must have 1 to 64 characters");
    }
}

#[utoipa::path(
    post,
    path = "/api/database/backups",
    tag = "backups",
    operation_id = "createBackup",
    request_body = Creation,
    responses(
        (status = 201, body = Backup),
        ApiError
    ),
)]
async fn create(
    State(app): State<App>,
    VerifyAdmin(caller): VerifyAdmin,
    forwarded: Forwarded,
    Valid(body): Valid<Creation>,
) -> Result<(StatusCode, Json<Backup>), ApiError> {
    let desk = Desk::new(&app, &forwarded.project)?;
    let name = body.name.as_deref().map(str::trim);
    let backup = desk.create(name, "manual", Some(caller.actor())).await?;
    let details = json!({ "id": backup.id, "name": backup.name });
    app.record(
        &forwarded,
        caller.actor(),
        "CREATE_DATABASE_BACKUP",
        details,
    )
    .await?;
    Ok((StatusCode::CREATED, Json(backup)))
}

#[derive(Deserialize, utoipa::ToSchema)]
struct Renaming {
    /// `None` if it is missing, which is not the same as null.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>, required, min_length = 1, max_length = 64)]
    name: Option<Given<String>>,
}

/// A field that is there, with a value or null.
fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    field: D,
) -> Result<Option<Given<T>>, D::Error> {
    Option::deserialize(field).map(|value| Some(Given(value)))
}

impl Validate for Renaming {
    fn validate(&self, complain: &mut dyn FnMut(&str, &str)) {
        match &self.name {
            None => complain("name", "is required"),
            Some(Given(name)) => check_name(name.as_deref(), complain),
        }
    }
}

#[utoipa::path(
    patch,
    path = "/api/database/backups/{id}",
    tag = "backups",
    operation_id = "renameBackup",
    params(("id" = Uuid, Path)),
    request_body = Renaming,
    responses(
        (status = 200, body = Backup),
        ApiError
    ),
)]
async fn rename(
    State(app): State<App>,
    VerifyAdmin(caller): VerifyAdmin,
    forwarded: Forwarded,
    Path(id): Path<Uuid>,
    Valid(body): Valid<Renaming>,
) -> Result<Json<Backup>, ApiError> {
    let desk = Desk::new(&app, &forwarded.project)?;
    let name = body.name.and_then(|Given(name)| name);
    let backup = desk.rename(id, name.as_deref().map(str::trim)).await?;
    let details = json!({ "id": backup.id, "name": backup.name });
    app.record(
        &forwarded,
        caller.actor(),
        "RENAME_DATABASE_BACKUP",
        details,
    )
    .await?;
    Ok(Json(backup))
}

/// That it was done, for people.
#[derive(Serialize, utoipa::ToSchema)]
struct Done {
    message: &'static str,
}

#[utoipa::path(
    delete,
    path = "/api/database/backups/{id}",
    tag = "backups",
    operation_id = "removeBackup",
    params(("id" = Uuid, Path)),
    responses(
        (status = 200, body = Done),
        ApiError
    ),
)]
async fn remove(
    State(app): State<App>,
    VerifyAdmin(caller): VerifyAdmin,
    forwarded: Forwarded,
    Path(id): Path<Uuid>,
) -> Result<Json<Done>, ApiError> {
    Desk::new(&app, &forwarded.project)?.remove(id).await?;
    let details = json!({ "id": id });
    app.record(
        &forwarded,
        caller.actor(),
        "DELETE_DATABASE_BACKUP",
        details,
    )
    .await?;
    Ok(Json(Done {
        message: "Backup deleted",
    }))
}

#[utoipa::path(
    post,
    path = "/api/database/backups/{id}/restore",
    tag = "backups",
    operation_id = "restoreBackup",
    params(("id" = Uuid, Path)),
    responses(
        (status = 200, body = Done),
        ApiError
    ),
)]
async fn restore(
    State(app): State<App>,
    VerifyAdmin(caller): VerifyAdmin,
    forwarded: Forwarded,
    Path(id): Path<Uuid>,
) -> Result<Json<Done>, ApiError> {
    let desk = Desk::new(&app, &forwarded.project)?;
    // It takes longer than many a client waits, and half of it would be of no use to anybody.
    let work = async move {
        desk.restore(id).await?;
        let project = &forwarded.project.id;
        app.invalidate(project, Invalidation::Schema).await;
        let changes = ["tables", "records"].map(|kind| Change {
            kind: kind.to_owned(),
            name: None,
        });
        app.announce(project, DashboardEvent::database(changes.into()))
            .await;
        let details = json!({ "id": id });
        app.record(
            &forwarded,
            caller.actor(),
            "RESTORE_DATABASE_BACKUP",
            details,
        )
        .await
    };
    tokio::spawn(work)
        .await
        .map_err(|error| ApiError::internal(&error))??;
    Ok(Json(Done {
        message: "Database restored",
    }))
}

#[utoipa::path(
    get,
    path = "/api/database/config",
    tag = "backups",
    operation_id = "showSchedule",
    responses(
        (status = 200, body = ShownConfig),
        ApiError
    ),
)]
async fn config(
    State(app): State<App>,
    _: VerifyAdmin,
    forwarded: Forwarded,
) -> Result<Json<ShownConfig>, ApiError> {
    Desk::new(&app, &forwarded.project)?
        .config()
        .await
        .map(Json)
}

#[derive(Deserialize, utoipa::ToSchema)]
struct ConfigBody {
    backup: ScheduleBody,
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
struct ScheduleBody {
    enabled: Option<bool>,
    /// Five fields in UTC; the minute is one number.
    #[schema(max_length = 64, examples("30 3 * * *"))]
    cron_schedule: Option<String>,
    #[serde(default, deserialize_with = "present")]
    /// Null keeps them for ever.
    #[schema(value_type = Option<i32>, minimum = 1, maximum = 3650)]
    retention_days: Option<Given<i32>>,
}

impl Validate for ConfigBody {
    fn validate(&self, complain: &mut dyn FnMut(&str, &str)) {
        let schedule = &self.backup;
        let cron = schedule.cron_schedule.as_deref();
        if cron.is_some_and(|text| !(1..=cron::MAX_LENGTH).contains(&text.trim().chars().count())) {
            complain("backup.cronSchedule", "must have 1 to 64 characters");
        }
        let days = schedule.retention_days.and_then(|Given(days)| days);
        if days.is_some_and(|days| !(1..=MAX_DAYS).contains(&days)) {
            complain(
                "backup.retentionDays",
                "must be 1 to 3650, or null for ever",
            );
        }
        if schedule.enabled.is_none() && cron.is_none() && schedule.retention_days.is_none() {
            complain("backup", "must have enabled, cronSchedule or retentionDays");
        }
    }
}

#[utoipa::path(
    patch,
    path = "/api/database/config",
    tag = "backups",
    operation_id = "changeSchedule",
    request_body = ConfigBody,
    responses(
        (status = 200, body = ShownConfig),
        ApiError
    ),
)]
async fn change_config(
    State(app): State<App>,
    VerifyAdmin(caller): VerifyAdmin,
    forwarded: Forwarded,
    Valid(body): Valid<ConfigBody>,
) -> Result<Json<ShownConfig>, ApiError> {
    let change = ConfigChange {
        enabled: body.backup.enabled,
        cron: body.backup.cron_schedule.map(|text| text.trim().to_owned()),
        retention_days: body.backup.retention_days,
    };
    let desk = Desk::new(&app, &forwarded.project)?;
    let config = desk.change_config(change).await?;
    let schedule = config.schedule();
    let details = json!({ "backup": {
        "enabled": schedule.enabled,
        "cronSchedule": schedule.cron_schedule,
        "retentionDays": schedule.retention_days,
    } });
    app.record(
        &forwarded,
        caller.actor(),
        "UPDATE_DATABASE_CONFIG",
        details,
    )
    .await?;
    Ok(Json(config))
}
