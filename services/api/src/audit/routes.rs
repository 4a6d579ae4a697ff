//! `/api/logs/audits`.

use axum::Json;
use axum::extract::State;
use axum::routing::get;
use ingot_http::{ApiError, Forwarded, Paged, Query, Routes};
use ingot_identity::VerifyAdmin;
use serde::{Deserialize, Serialize};

use super::service::{self, Statistics};
use super::store::{Filter, ShownEntry};
use crate::app::App;
use crate::dates::read_time;
use crate::query::whole_number;

/// The routes under `/api/logs/audits`.
pub(crate) fn router() -> Routes<App> {
    Routes::new()
        .route("/", get(list).delete(remove))
        .route("/stats", get(statistics))
}

#[derive(Deserialize)]
struct Listing {
    limit: Option<String>,
    offset: Option<String>,
    actor: Option<String>,
    action: Option<String>,
    module: Option<String>,
    start_date: Option<String>,
    end_date: Option<String>,
}

async fn list(
    State(app): State<App>,
    VerifyAdmin(_): VerifyAdmin,
    forwarded: Forwarded,
    Query(query): Query<Listing>,
) -> Result<Paged<ShownEntry>, ApiError> {
    let time = |name, text: Option<String>| {
        text.filter(|text| !text.is_empty())
            .map(|text| read_time(name, &text))
            .transpose()
    };
    let given = |text: Option<String>| text.filter(|text| !text.is_empty());
    let filter = Filter {
        actor: given(query.actor),
        action: given(query.action),
        module: given(query.module),
        from: time("start_date", query.start_date)?,
        until: time("end_date", query.end_date)?,
    };
    service::list(
        &app.service_pool(&forwarded)?,
        &filter,
        whole_number(query.limit.as_deref()).unwrap_or(100),
        whole_number(query.offset.as_deref()).unwrap_or(0),
    )
    .await
}

#[derive(Deserialize)]
struct Days {
    days: Option<String>,
    days_to_keep: Option<String>,
}

async fn statistics(
    State(app): State<App>,
    VerifyAdmin(_): VerifyAdmin,
    forwarded: Forwarded,
    Query(query): Query<Days>,
) -> Result<Json<Statistics>, ApiError> {
    let days = whole_number(query.days.as_deref()).unwrap_or(7);
    service::statistics(&app.service_pool(&forwarded)?, days)
        .await
        .map(Json)
}

#[derive(Serialize)]
struct Removed {
    message: &'static str,
    deleted: u64,
}

async fn remove(
    State(app): State<App>,
    VerifyAdmin(_): VerifyAdmin,
    forwarded: Forwarded,
    Query(query): Query<Days>,
) -> Result<Json<Removed>, ApiError> {
    let days = whole_number(query.days_to_keep.as_deref()).unwrap_or(90);
    let deleted = service::remove_older_than(&app.service_pool(&forwarded)?, days).await?;
    Ok(Json(Removed {
        message: "Old audit entries were removed",
        deleted,
    }))
}
