//! `POST /api/database/advance/bulk-upsert`.

use axum::Json;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::routing::post;
use ingot_bus::{Change, DashboardEvent};
use ingot_http::{ApiError, Forwarded, Routes};
use ingot_identity::VerifyAdmin;
use serde::Serialize;
use serde_json::json;

use super::service::{self, FileFormat, Order};
use crate::advance::upload::UploadedFile;
use crate::app::App;
use crate::database::{Schema, TableName};

/// What the handlers of this file take and answer.
#[derive(utoipa::OpenApi)]
#[openapi(paths(bulk_upsert))]
pub(crate) struct Document;

/// The routes of bulk upserts.
pub(in crate::advance) fn router() -> Routes<App> {
    // The upload has a limit of its own.
    Routes::new().route(
        "/bulk-upsert",
        post(bulk_upsert).layer(DefaultBodyLimit::disable()),
    )
}

/// The form that is read.
#[derive(utoipa::ToSchema)]
#[schema(as = BulkUpsertForm, rename_all = "camelCase")]
#[allow(dead_code, reason = "it describes what the upload reads")]
struct Upload {
    /// The rows; its name ends with `.csv` or `.json`.
    #[schema(value_type = String, format = Binary)]
    file: Vec<u8>,
    #[schema(min_length = 1)]
    table: String,
    /// `public` unless given.
    #[schema(nullable = false)]
    schema: Option<String>,
    /// A column with a unique index: known rows are changed.
    #[schema(nullable = false)]
    upsert_key: Option<String>,
}

#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = BulkUpsertAnswer)]
struct Answer {
    success: bool,
    message: String,
    table: String,
    rows_affected: u64,
    total_records: u64,
    filename: String,
}

#[utoipa::path(
    post,
    path = "/api/database/advance/bulk-upsert",
    tag = "sql",
    operation_id = "bulkUpsert",
    request_body(content = Upload, content_type = "multipart/form-data"),
    responses(
        (status = 200, body = Answer),
        ApiError
    ),
)]
async fn bulk_upsert(
    State(app): State<App>,
    VerifyAdmin(caller): VerifyAdmin,
    forwarded: Forwarded,
    request: Request,
) -> Result<Json<Answer>, ApiError> {
    let mut upload = app.uploads.read(request).await?;
    let given = |name| upload.field(name).map(str::trim).filter(|v| !v.is_empty());
    let table = given("table")
        .ok_or_else(|| ApiError::invalid_input("table: the name of a table is required"))?;
    let schema = Schema::named(given("schema").unwrap_or("public"))?;
    let table = TableName::new(&schema.0, table)?;
    let key = given("upsertKey").map(str::to_owned);
    let file = upload.file.take().ok_or_else(|| {
        ApiError::invalid_input("file: a CSV or JSON file is required")
            .with_hint("Send the file as multipart/form-data in the field `file`")
    })?;
    let order = Order {
        table: table.clone(),
        key: key.clone(),
        format: format(&file)?,
    };
    let (filename, file_size) = (file.name.clone(), file.size);
    let pools = app.admin_pools(&forwarded)?;
    let written = service::upsert(&pools, order, file.into_content()).await?;
    let change = Change {
        kind: "records".to_owned(),
        name: Some(table.dotted()),
    };
    let project = &forwarded.project.id;
    app.announce(project, DashboardEvent::database(vec![change]))
        .await;
    let details = json!({
        "schemaName": table.schema,
        "table": table.table,
        "filename": filename,
        "fileSize": file_size,
        "upsertKey": key,
        "rowsAffected": written.rows,
        "totalRecords": written.records,
    });
    app.record(&forwarded, caller.actor(), "BULK_UPSERT", details)
        .await?;
    Ok(Json(Answer {
        success: true,
        message: format!("{} rows were written to {}", written.rows, table.table),
        table: table.table,
        rows_affected: written.rows,
        total_records: written.records,
        filename,
    }))
}

fn format(file: &UploadedFile) -> Result<FileFormat, ApiError> {
    if file.has_extension(&[".csv"]) {
        Ok(FileFormat::Csv)
    } else if file.has_extension(&[".json"]) {
        Ok(FileFormat::Json)
    } else {
        Err(ApiError::invalid_input(
            "file: the name of the file must end with .csv or .json",
        ))
    }
}
