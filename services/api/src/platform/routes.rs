//! Routes that need no domain (contract, platform §6.4).

use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;
use time::OffsetDateTime;

use crate::app::App;

/// Version of the API that clients see: the InsForge release whose contract Ingot keeps.
const API_VERSION: &str = "2.3.1";

/// Routes with full paths, outside of any prefix.
pub(crate) fn router() -> Router<App> {
    Router::new().route("/api/health", get(health))
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
