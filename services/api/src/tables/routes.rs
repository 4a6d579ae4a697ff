//! `/api/database/tables`.

use axum::Json;
use axum::extract::State;
use axum::routing::{delete, get};
use http::StatusCode;
use ingot_bus::Invalidation;
use ingot_http::{ApiError, Forwarded, Path, Routes, Valid};
use ingot_identity::VerifyAdmin;
use serde_json::{Value, json};

use super::description::{NewTable, TableChanges};
use super::service::{self, TableSchema};
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
    params(("schema" = Option<String>, Query, description = "`public` unless given")),
    responses(
        (status = 200, body = Vec<String>),
        (status = "4XX", body = crate::openapi::Problem)
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

#[utoipa::path(
    post,
    path = "/api/database/tables",
    tag = "tables",
    operation_id = "createTable",
    params(("schema" = Option<String>, Query, description = "`public` unless given")),
    request_body = NewTable,
    responses(
        (status = 201, body = serde_json::Value),
        (status = "4XX", body = crate::openapi::Problem)
    ),
)]
async fn create(
    State(app): State<App>,
    VerifyAdmin(caller): VerifyAdmin,
    forwarded: Forwarded,
    schema: Schema,
    Valid(table): Valid<NewTable>,
) -> Result<(StatusCode, Json<Value>), ApiError> {
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
    let answer = json!({
        "schemaName": schema.0,
        "message": "Table created successfully",
        "tableName": table.table_name,
        "columns": columns,
        "autoFields": ["id", "created_at", "updated_at"],
        "nextActions": "Insert rows with POST /api/database/records/<table>; with row level \
                        security on, create policies first",
    });
    Ok((StatusCode::CREATED, Json(answer)))
}

#[utoipa::path(
    get,
    path = "/api/database/tables/{table}/schema",
    tag = "tables",
    operation_id = "describeTable",
    params(
        ("table" = String, Path),
        ("schema" = Option<String>, Query, description = "`public` unless given"),
    ),
    responses(
        (status = 200, body = serde_json::Value),
        (status = "4XX", body = crate::openapi::Problem)
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

#[utoipa::path(
    patch,
    path = "/api/database/tables/{table}/schema",
    tag = "tables",
    operation_id = "changeTable",
    params(
        ("table" = String, Path),
        ("schema" = Option<String>, Query, description = "`public` unless given"),
    ),
    request_body = TableChanges,
    responses(
        (status = 200, body = serde_json::Value),
        (status = "4XX", body = crate::openapi::Problem)
    ),
)]
async fn update(
    State(app): State<App>,
    VerifyAdmin(caller): VerifyAdmin,
    forwarded: Forwarded,
    schema: Schema,
    Path(table): Path<String>,
    Valid(changes): Valid<TableChanges>,
) -> Result<Json<Value>, ApiError> {
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
    Ok(Json(json!({
        "schemaName": schema.0,
        "message": "Table schema updated successfully",
        "tableName": table,
        "operations": operations,
    })))
}

#[utoipa::path(
    delete,
    path = "/api/database/tables/{table}",
    tag = "tables",
    operation_id = "dropTable",
    params(
        ("table" = String, Path),
        ("schema" = Option<String>, Query, description = "`public` unless given"),
    ),
    responses(
        (status = 200, body = serde_json::Value),
        (status = "4XX", body = crate::openapi::Problem)
    ),
)]
async fn remove(
    State(app): State<App>,
    VerifyAdmin(caller): VerifyAdmin,
    forwarded: Forwarded,
    schema: Schema,
    Path(table): Path<String>,
) -> Result<Json<Value>, ApiError> {
    service::remove(&app.sql_pool(&forwarded)?, &schema.0, &table).await?;
    app.invalidate(&forwarded.project.id, Invalidation::Schema)
        .await;
    let details = json!({ "schemaName": schema.0, "tableName": table });
    app.record(&forwarded, caller.actor(), "DELETE_TABLE", details)
        .await?;
    Ok(Json(json!({
        "schemaName": schema.0,
        "message": "Table deleted successfully",
        "tableName": table,
        "nextActions": "Objects that depended on the table are gone, too",
    })))
}
