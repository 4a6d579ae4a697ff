//! `/api/realtime/webhooks`.

use axum::Json;
use axum::extract::State;
use axum::routing::{delete, get, post};
use ingot_http::{ApiError, Forwarded, Path, Query, Routes};
use ingot_identity::VerifyAdmin;
use serde::Deserialize;
use serde_json::{Value, json};

use super::service::{self, Page};
use super::store::Failure;
use crate::app::App;

/// The routes under `/api/realtime` that are about webhooks.
pub(in crate::realtime) fn router() -> Routes<App> {
    Routes::new()
        .route("/webhooks/secret", get(secret))
        .route("/webhooks/failures", get(failures))
        .route("/webhooks/failures/replay", post(replay_all))
        .route("/webhooks/failures/{id}", delete(remove))
        .route("/webhooks/failures/{id}/replay", post(replay))
}

/// What receivers check signatures with.
async fn secret(VerifyAdmin(_): VerifyAdmin, forwarded: Forwarded) -> Json<Value> {
    let secret = forwarded.project.webhook_secret();
    Json(json!({ "secret": secret.expose() }))
}

/// Query parameters, as text: the rules say what they mean.
#[derive(Deserialize)]
struct Parameters {
    limit: Option<String>,
    offset: Option<String>,
}

async fn failures(
    State(app): State<App>,
    VerifyAdmin(_): VerifyAdmin,
    forwarded: Forwarded,
    Query(query): Query<Parameters>,
) -> Result<Json<Vec<Failure>>, ApiError> {
    let page = Page::read(query.limit.as_deref(), query.offset.as_deref())?;
    service::failures(&app.service_pool(&forwarded)?, page)
        .await
        .map(Json)
}

async fn replay_all(
    State(app): State<App>,
    VerifyAdmin(_): VerifyAdmin,
    forwarded: Forwarded,
) -> Result<Json<Value>, ApiError> {
    let replayed = service::replay_all(&app.service_pool(&forwarded)?).await?;
    Ok(Json(json!({ "replayed": replayed })))
}

async fn replay(
    State(app): State<App>,
    VerifyAdmin(_): VerifyAdmin,
    forwarded: Forwarded,
    Path(id): Path<String>,
) -> Result<Json<Value>, ApiError> {
    service::replay(&app.service_pool(&forwarded)?, &id).await?;
    Ok(Json(json!({ "replayed": 1 })))
}

async fn remove(
    State(app): State<App>,
    VerifyAdmin(_): VerifyAdmin,
    forwarded: Forwarded,
    Path(id): Path<String>,
) -> Result<Json<Value>, ApiError> {
    service::remove(&app.service_pool(&forwarded)?, &id).await?;
    Ok(Json(json!({ "message": "Webhook removed" })))
}
