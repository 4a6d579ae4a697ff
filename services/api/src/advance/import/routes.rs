//! `POST /api/database/advance/import`.

use axum::Json;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::routing::post;
use ingot_bus::{DashboardEvent, Invalidation, Resource};
use ingot_http::{ApiError, Forwarded, Routes};
use ingot_identity::VerifyAdmin;
use serde::Serialize;
use serde_json::json;

use super::service;
use crate::app::App;

/// What the handlers of this file take and answer.
#[derive(utoipa::OpenApi)]
#[openapi(paths(import))]
pub(crate) struct Document;

/// The routes of imports.
pub(in crate::advance) fn router() -> Routes<App> {
    // The upload has a limit of its own.
    Routes::new().route("/import", post(import).layer(DefaultBodyLimit::disable()))
}

/// The form that is read.
#[derive(utoipa::ToSchema)]
#[schema(as = ImportForm)]
#[allow(dead_code, reason = "it describes what the upload reads")]
struct Upload {
    /// The dump; its name ends with `.sql` or `.txt`.
    #[schema(value_type = String, format = Binary)]
    file: Vec<u8>,
    /// `true` empties the tables of `public` first.
    #[schema(pattern = "^(true|false)$", nullable = false)]
    truncate: Option<String>,
}

#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ImportAnswer)]
struct Answer {
    success: bool,
    message: &'static str,
    filename: String,
    tables: Vec<String>,
    rows_imported: u64,
    file_size: u64,
}

#[utoipa::path(
    post,
    path = "/api/database/advance/import",
    tag = "sql",
    operation_id = "import",
    request_body(content = Upload, content_type = "multipart/form-data"),
    responses(
        (status = 200, body = Answer),
        ApiError
    ),
)]
async fn import(
    State(app): State<App>,
    VerifyAdmin(caller): VerifyAdmin,
    forwarded: Forwarded,
    request: Request,
) -> Result<Json<Answer>, ApiError> {
    let mut upload = app.uploads.read(request).await?;
    let truncate = match upload.field("truncate") {
        None | Some("false") => false,
        Some("true") => true,
        Some(_) => {
            return Err(ApiError::invalid_input(
                "truncate: must be `true` or `false`",
            ));
        }
    };
    let Some(file) = upload.file.take() else {
        return Err(ApiError::invalid_input("file: a dump is required")
            .with_hint("Send the dump as multipart/form-data in the field `file`"));
    };
    if !file.has_extension(&[".sql", ".txt"]) {
        return Err(ApiError::invalid_input(
            "file: the name of a dump must end with .sql or .txt",
        ));
    }
    let (filename, file_size) = (file.name.clone(), file.size);
    let pools = app.admin_pools(&forwarded)?;
    let imported = service::import(&app.guard, &pools, file.into_content(), truncate).await?;
    let project = &forwarded.project.id;
    app.invalidate(project, Invalidation::Schema).await;
    app.announce(project, DashboardEvent::of(Resource::Database))
        .await;
    let details = json!({
        "truncate": truncate,
        "filename": filename,
        "fileSize": file_size,
        "tablesAffected": imported.tables.len(),
        "rowsImported": imported.rows,
    });
    app.record(&forwarded, caller.actor(), "IMPORT_DATABASE", details)
        .await?;
    Ok(Json(Answer {
        success: true,
        message: "SQL file imported successfully",
        filename,
        tables: imported.tables,
        rows_imported: imported.rows,
        file_size,
    }))
}
