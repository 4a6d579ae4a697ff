//! `/api/database/tables`.

use axum::Json;
use axum::extract::State;
use axum::routing::{delete, get};
use http::StatusCode;
use ingot_bus::Invalidation;
use ingot_http::{ApiError, Forwarded, Path, Routes, Valid};
use ingot_identity::VerifyAdmin;
use serde::Serialize;
use serde_json::json;

use super::column::RESERVED;
use super::description::{NewTable, TableChanges};
use super::service::{self, CreatedColumn, TableSchema};
use crate::app::App;
use crate::database::Schema;

/// What the handlers of this file take and answer.
#[derive(utoipa::OpenApi)]
#[openapi(paths(list, create, describe, update, remove))]
pub(crate) struct Document;

/// The routes under `/api/database/tables`.
pub(crate) fn router() -> Routes<App> {
    Routes::new()
        .route("/", get(list).post(create))
        .route("/{table}/schema", get(describe).patch(update))
        .route("/{table}", delete(remove))
}

#[utoipa::path(
    get,
    path = "/api/database/tables",
    tag = "tables",
    operation_id = "listTables",
    params(Schema),
    responses(
        (status = 200, body = Vec<String>),
        ApiError
    ),
)]
async fn list(
    State(app): State<App>,
    _: VerifyAdmin,
    forwarded: Forwarded,
    schema: Schema,
) -> Result<Json<Vec<String>>, ApiError> {
    service::list(&app.sql_pool(&forwarded)?, &schema.0)
        .await
        .map(Json)
}

#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
struct Created {
    schema_name: String,
    message: &'static str,
    table_name: String,
    /// Without the reserved ones.
    columns: Vec<CreatedColumn>,
    auto_fields: [&'static str; 3],
    next_actions: &'static str,
}

#[utoipa::path(
    post,
    path = "/api/database/tables",
    tag = "tables",
    operation_id = "createTable",
    params(Schema),
    request_body = NewTable,
    responses(
        (status = 201, body = Created),
        ApiError
    ),
)]
async fn create(
    State(app): State<App>,
    VerifyAdmin(caller): VerifyAdmin,
    forwarded: Forwarded,
    schema: Schema,
    Valid(table): Valid<NewTable>,
) -> Result<(StatusCode, Json<Created>), ApiError> {
    let pool = app.sql_pool(&forwarded)?;
    let columns = service::create(&pool, &schema.0, &table).await?;
    app.invalidate(&forwarded.project.id, Invalidation::Schema)
        .await;
    let details = json!({
        "schemaName": schema.0,
        "tableName": table.table_name,
        "columns": table.columns,
        "rlsEnabled": table.rls_enabled,
    });
    app.record(&forwarded, caller.actor(), "CREATE_TABLE", details)
        .await?;
    let created = Created {
        schema_name: schema.0,
        message: "Table created successfully",
        table_name: table.table_name,
        columns,
        auto_fields: RESERVED.map(|(name, _)| name),
        next_actions: "Insert rows with POST /api/database/records/<table>; with row level \
                       security on, create policies first",
    };
    Ok((StatusCode::CREATED, Json(created)))
}

#[utoipa::path(
    get,
    path = "/api/database/tables/{table}/schema",
    tag = "tables",
    operation_id = "describeTable",
    params(
        ("table" = String, Path),
        Schema,
    ),
    responses(
        (status = 200, body = TableSchema),
        ApiError
    ),
)]
async fn describe(
    State(app): State<App>,
    _: VerifyAdmin,
    forwarded: Forwarded,
    schema: Schema,
    Path(table): Path<String>,
) -> Result<Json<TableSchema>, ApiError> {
    service::describe(&app.sql_pool(&forwarded)?, &schema.0, &table)
        .await
        .map(Json)
}

#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
struct Changed {
    schema_name: String,
    message: &'static str,
    /// Its name before the change.
    table_name: String,
    /// What was done, step by step.
    operations: Vec<String>,
}

#[utoipa::path(
    patch,
    path = "/api/database/tables/{table}/schema",
    tag = "tables",
    operation_id = "changeTable",
    params(
        ("table" = String, Path),
        Schema,
    ),
    request_body = TableChanges,
    responses(
        (status = 200, body = Changed),
        ApiError
    ),
)]
async fn update(
    State(app): State<App>,
    VerifyAdmin(caller): VerifyAdmin,
    forwarded: Forwarded,
    schema: Schema,
    Path(table): Path<String>,
    Valid(changes): Valid<TableChanges>,
) -> Result<Json<Changed>, ApiError> {
    let pool = app.sql_pool(&forwarded)?;
    let operations = service::update(&pool, &schema.0, &table, &changes).await?;
    app.invalidate(&forwarded.project.id, Invalidation::Schema)
        .await;
    let details = json!({
        "schemaName": schema.0,
        "tableName": table,
        "operations": operations,
    });
    app.record(&forwarded, caller.actor(), "UPDATE_TABLE", details)
        .await?;
    Ok(Json(Changed {
        schema_name: schema.0,
        message: "Table schema updated successfully",
        table_name: table,
        operations,
    }))
}

#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
struct Dropped {
    schema_name: String,
    message: &'static str,
    table_name: String,
    next_actions: &'static str,
}

#[utoipa::path(
    delete,
    path = "/api/database/tables/{table}",
    tag = "tables",
    operation_id = "dropTable",
    params(
        ("table" = String, Path),
        Schema,
    ),
    responses(
        (status = 200, body = Dropped),
        ApiError
    ),
)]
async fn remove(
    State(app): State<App>,
    VerifyAdmin(caller): VerifyAdmin,
    forwarded: Forwarded,
    schema: Schema,
    Path(table): Path<String>,
) -> Result<Json<Dropped>, ApiError> {
    service::remove(&app.sql_pool(&forwarded)?, &schema.0, &table).await?;
    app.invalidate(&forwarded.project.id, Invalidation::Schema)
        .await;
    let details = json!({ "schemaName": schema.0, "tableName": table });
    app.record(&forwarded, caller.actor(), "DELETE_TABLE", details)
        .await?;
    Ok(Json(Dropped {
        schema_name: schema.0,
        message: "Table deleted successfully",
        table_name: table,
        next_actions: "Objects that depended on the table are gone, too",
    }))
}
