//! `/api/database/admin/tables/:table/records`.

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::routing::get;
use http::StatusCode;
use ingot_bus::{Change, DashboardEvent};
use ingot_http::{ApiError, Body, Forwarded, Paged, Path, Query, Routes, Valid, Validate};
use ingot_identity::VerifyAdmin;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::columns::Fields;
use super::query::Parameters;
use super::service;
use crate::app::App;
use crate::database::{Schema, TableName};
use crate::openapi::Row;

/// What the handlers of this file take and answer.
#[derive(utoipa::OpenApi)]
#[openapi(paths(list, look_up, insert, update, remove))]
pub(crate) struct Document;

/// The routes under `/api/database/admin`.
pub(crate) fn router() -> Routes<App> {
    let records = get(list).post(insert).patch(update).delete(remove);
    Routes::new()
        .route("/tables/{table}/records", records)
        .route("/tables/{table}/records/lookup", get(look_up))
        .map(|router| router.fallback(unknown))
}

async fn unknown(_: VerifyAdmin) -> ApiError {
    ApiError::not_found("This route does not exist").with_hint("Check the method and the path")
}

#[utoipa::path(
    get,
    path = "/api/database/admin/tables/{table}/records",
    tag = "rows",
    operation_id = "listRows",
    params(
        ("table" = String, Path),
        Schema,
        Parameters,
    ),
    responses(
        (status = 200, body = Vec<Row>, description = "All rows", headers(("content-range" = String))),
        (status = 206, body = Vec<Row>, description = "Some rows", headers(("content-range" = String))),
        ApiError
    ),
)]
async fn list(
    State(app): State<App>,
    _: VerifyAdmin,
    forwarded: Forwarded,
    schema: Schema,
    Path(table): Path<String>,
    Query(parameters): Query<Parameters>,
) -> Result<Paged<Box<RawValue>>, ApiError> {
    let table = TableName::new(&schema.0, &table)?;
    let listing = parameters.read()?;
    let (items, total) = service::list(&app.admin_pools(&forwarded)?, table, &listing).await?;
    Ok(Paged {
        items,
        offset: listing.offset,
        total,
    })
}

#[utoipa::path(
    get,
    path = "/api/database/admin/tables/{table}/records/lookup",
    tag = "rows",
    operation_id = "findRow",
    params(
        ("table" = String, Path),
        Schema,
        ("column" = Vec<String>, Query, description = "As often as `value`"),
        ("value" = Vec<String>, Query),
    ),
    responses(
        (status = 200, body = Option<Row>),
        ApiError
    ),
)]
async fn look_up(
    State(app): State<App>,
    _: VerifyAdmin,
    forwarded: Forwarded,
    schema: Schema,
    Path(table): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Json<Option<Box<RawValue>>>, ApiError> {
    let table = TableName::new(&schema.0, &table)?;
    let query = query.unwrap_or_default();
    let given = |name: &str| -> Vec<String> {
        url::form_urlencoded::parse(query.as_bytes())
            .filter(|(key, _)| key == name)
            .map(|(_, value)| value.into_owned())
            .collect()
    };
    let (columns, values) = (given("column"), given("value"));
    if columns.is_empty() || columns.len() != values.len() {
        return Err(ApiError::invalid_input(
            "column: send as many `column` as `value` parameters, at least one of each",
        ));
    }
    let pairs: Vec<_> = columns.into_iter().zip(values).collect();
    service::look_up(&app.admin_pools(&forwarded)?, table, &pairs)
        .await
        .map(Json)
}

#[utoipa::path(
    post,
    path = "/api/database/admin/tables/{table}/records",
    tag = "rows",
    operation_id = "insertRows",
    params(
        ("table" = String, Path),
        Schema,
    ),
    request_body = Vec<Row>,
    responses(
        (status = 201, body = Vec<Row>),
        ApiError
    ),
)]
async fn insert(
    State(app): State<App>,
    _: VerifyAdmin,
    forwarded: Forwarded,
    schema: Schema,
    Path(table): Path<String>,
    Body(records): Body<Vec<Fields>>,
) -> Result<(StatusCode, Json<service::JsonRows>), ApiError> {
    let table = TableName::new(&schema.0, &table)?;
    if records.is_empty() {
        return Err(ApiError::invalid_input(": must not be empty"));
    }
    let pool = app.admin_pools(&forwarded)?;
    let stored = service::insert(&pool, table.clone(), &records).await?;
    announce(&app, &forwarded, &table).await;
    Ok((StatusCode::CREATED, Json(stored)))
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
struct Update {
    #[schema(value_type = Row)]
    pk_keys: Fields,
    #[schema(value_type = Row)]
    data: Fields,
}

impl Validate for Update {
    fn validate(&self, complain: &mut dyn FnMut(&str, &str)) {
        if self.pk_keys.is_empty() {
            complain("pkKeys", "must not be empty");
        }
        if self.data.is_empty() {
            complain("data", "must not be empty");
        }
    }
}

#[utoipa::path(
    patch,
    path = "/api/database/admin/tables/{table}/records",
    tag = "rows",
    operation_id = "changeRow",
    params(
        ("table" = String, Path),
        Schema,
    ),
    request_body = Update,
    responses(
        (status = 200, body = Row),
        ApiError
    ),
)]
async fn update(
    State(app): State<App>,
    _: VerifyAdmin,
    forwarded: Forwarded,
    schema: Schema,
    Path(table): Path<String>,
    Valid(body): Valid<Update>,
) -> Result<Json<Box<RawValue>>, ApiError> {
    let table = TableName::new(&schema.0, &table)?;
    let pool = app.admin_pools(&forwarded)?;
    let changed = service::update(&pool, table.clone(), &body.pk_keys, &body.data).await?;
    announce(&app, &forwarded, &table).await;
    Ok(Json(changed))
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
struct Removal {
    #[schema(value_type = Vec<Row>)]
    pk_keys: Vec<Fields>,
}

impl Validate for Removal {
    fn validate(&self, complain: &mut dyn FnMut(&str, &str)) {
        if self.pk_keys.is_empty() {
            complain("pkKeys", "must not be empty");
        }
        for (index, keys) in self.pk_keys.iter().enumerate() {
            if keys.is_empty() {
                complain(&format!("pkKeys.{index}"), "must not be empty");
            }
        }
    }
}

#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
struct Removed {
    deleted_count: u64,
}

#[utoipa::path(
    delete,
    path = "/api/database/admin/tables/{table}/records",
    tag = "rows",
    operation_id = "removeRows",
    params(
        ("table" = String, Path),
        Schema,
    ),
    request_body = Removal,
    responses(
        (status = 200, body = Removed),
        ApiError
    ),
)]
async fn remove(
    State(app): State<App>,
    _: VerifyAdmin,
    forwarded: Forwarded,
    schema: Schema,
    Path(table): Path<String>,
    Valid(body): Valid<Removal>,
) -> Result<Json<Removed>, ApiError> {
    let table = TableName::new(&schema.0, &table)?;
    let pool = app.admin_pools(&forwarded)?;
    let deleted_count = service::remove(&pool, table.clone(), &body.pk_keys).await?;
    if deleted_count > 0 {
        announce(&app, &forwarded, &table).await;
    }
    Ok(Json(Removed { deleted_count }))
}

async fn announce(app: &App, forwarded: &Forwarded, table: &TableName) {
    let change = Change {
        kind: "records".to_owned(),
        name: Some(table.dotted()),
    };
    let event = DashboardEvent::database(vec![change]);
    app.announce(&forwarded.project.id, event).await;
}
