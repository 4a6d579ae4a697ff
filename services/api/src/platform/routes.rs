//! Routes that belong to no other domain (contract, platform §6.4).

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use ingot_http::{ApiError, Forwarded, Routes};
use ingot_identity::{SigningKey, VerifyAdmin};
use serde::Serialize;
use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::app::App;
use crate::auth::config::{AdminView, admin_view};

/// Version of the API that clients see: the InsForge release whose contract Ingot keeps.
const API_VERSION: &str = "2.3.1";

/// Routes with full paths, outside of any prefix.
pub(crate) fn router() -> Routes<App> {
    Routes::new()
        .route("/", get(dashboard))
        .route("/api/health", get(health))
        .route("/.well-known/jwks.json", get(key_set))
        .route("/api/.well-known/jwks.json", get(key_set))
        .route("/api/metadata/project-id", get(project_id))
        .route("/api/metadata/auth", get(auth_metadata))
}

/// Whoever opens the bare address looks for the dashboard.
async fn dashboard() -> Response {
    (StatusCode::FOUND, [(header::LOCATION, "/dashboard/login")]).into_response()
}

#[derive(Serialize)]
struct HealthAnswer {
    status: &'static str,
    version: &'static str,
    service: &'static str,
    timestamp: String,
}

/// Answers also while the database is down; `/readyz` is the one that looks.
async fn health() -> Json<HealthAnswer> {
    Json(HealthAnswer {
        status: "ok",
        version: API_VERSION,
        service: "Insforge OSS Backend",
        timestamp: ingot_http::timestamp(OffsetDateTime::now_utc()),
    })
}

/// The keys that verify access tokens (RFC 7517); an empty set while they cannot be read.
async fn key_set(State(app): State<App>, forwarded: Forwarded) -> Json<Value> {
    let keys: Vec<_> = match &app.identity.key_ring(&forwarded.project).await {
        Ok(ring) => ring
            .signing()
            .map(SigningKey::public)
            .into_iter()
            .cloned()
            .collect(),
        Err(error) => {
            tracing::warn!(%error, "the key set is empty");
            Vec::new()
        }
    };
    Json(json!({ "keys": keys }))
}

async fn project_id(VerifyAdmin(_): VerifyAdmin, forwarded: Forwarded) -> Json<Value> {
    Json(json!({ "projectId": forwarded.project.cloud_project }))
}

async fn auth_metadata(
    State(app): State<App>,
    VerifyAdmin(_): VerifyAdmin,
    forwarded: Forwarded,
) -> Result<Json<AdminView>, ApiError> {
    Ok(Json(admin_view(&app.service_pool(&forwarded)?).await?))
}
