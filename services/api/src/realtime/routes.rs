//! `/api/realtime`.

use axum::Json;
use axum::extract::State;
use axum::routing::get;
use http::StatusCode;
use ingot_bus::Invalidation;
use ingot_http::{ApiError, Body, Forwarded, Path, Query, Routes};
use ingot_identity::VerifyAdmin;
use serde::Deserialize;
use serde_json::{Value, json};

use super::channel::ChannelInput;
use super::service::{self, MessageQuery, StatsQuery};
use super::store::{Channel, Message, Permissions, Stats};
use crate::app::App;

/// The routes under `/api/realtime`.
pub(crate) fn router() -> Routes<App> {
    Routes::new()
        .route("/channels", get(list_channels).post(create_channel))
        .route(
            "/channels/{id}",
            get(show_channel).put(update_channel).delete(remove_channel),
        )
        .route("/messages", get(list_messages).delete(clear_messages))
        .route("/messages/stats", get(stats))
        .route("/permissions", get(permissions))
        .route("/config", get(config).patch(set_config))
        .merge(super::webhooks::router())
}

async fn list_channels(
    State(app): State<App>,
    VerifyAdmin(_): VerifyAdmin,
    forwarded: Forwarded,
) -> Result<Json<Vec<Channel>>, ApiError> {
    service::channels(&app.service_pool(&forwarded)?)
        .await
        .map(Json)
}

async fn show_channel(
    State(app): State<App>,
    VerifyAdmin(_): VerifyAdmin,
    forwarded: Forwarded,
    Path(id): Path<String>,
) -> Result<Json<Channel>, ApiError> {
    service::channel(&app.service_pool(&forwarded)?, &id)
        .await
        .map(Json)
}

async fn create_channel(
    State(app): State<App>,
    VerifyAdmin(_): VerifyAdmin,
    forwarded: Forwarded,
    Body(body): Body<Value>,
) -> Result<(StatusCode, Json<Channel>), ApiError> {
    let input = ChannelInput::read(&body, true)?;
    let channel = service::create(&app.service_pool(&forwarded)?, &input).await?;
    app.invalidate(&forwarded.project.id, Invalidation::Channels)
        .await;
    Ok((StatusCode::CREATED, Json(channel)))
}

async fn update_channel(
    State(app): State<App>,
    VerifyAdmin(_): VerifyAdmin,
    forwarded: Forwarded,
    Path(id): Path<String>,
    Body(body): Body<Value>,
) -> Result<Json<Channel>, ApiError> {
    let input = ChannelInput::read(&body, false)?;
    let channel = service::update(&app.service_pool(&forwarded)?, &id, &input).await?;
    app.invalidate(&forwarded.project.id, Invalidation::Channels)
        .await;
    Ok(Json(channel))
}

async fn remove_channel(
    State(app): State<App>,
    VerifyAdmin(_): VerifyAdmin,
    forwarded: Forwarded,
    Path(id): Path<String>,
) -> Result<Json<Value>, ApiError> {
    service::remove(&app.service_pool(&forwarded)?, &id).await?;
    app.invalidate(&forwarded.project.id, Invalidation::Channels)
        .await;
    Ok(Json(json!({ "message": "Channel deleted" })))
}

/// Query parameters of the message routes, as text: the rules say what they mean.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Parameters {
    channel_id: Option<String>,
    event_name: Option<String>,
    limit: Option<String>,
    offset: Option<String>,
    since: Option<String>,
}

async fn list_messages(
    State(app): State<App>,
    VerifyAdmin(_): VerifyAdmin,
    forwarded: Forwarded,
    Query(query): Query<Parameters>,
) -> Result<Json<Vec<Message>>, ApiError> {
    let query = MessageQuery::read(
        query.channel_id.as_deref(),
        query.event_name,
        query.limit.as_deref(),
        query.offset.as_deref(),
    )?;
    service::messages(&app.service_pool(&forwarded)?, &query)
        .await
        .map(Json)
}

async fn clear_messages(
    State(app): State<App>,
    VerifyAdmin(_): VerifyAdmin,
    forwarded: Forwarded,
) -> Result<Json<Value>, ApiError> {
    let deleted = service::clear(&app.service_pool(&forwarded)?).await?;
    Ok(Json(json!({ "deleted": deleted })))
}

async fn stats(
    State(app): State<App>,
    VerifyAdmin(_): VerifyAdmin,
    forwarded: Forwarded,
    Query(query): Query<Parameters>,
) -> Result<Json<Stats>, ApiError> {
    let query = StatsQuery::read(query.channel_id.as_deref(), query.since.as_deref())?;
    service::stats(&app.service_pool(&forwarded)?, &query)
        .await
        .map(Json)
}

async fn permissions(
    State(app): State<App>,
    VerifyAdmin(_): VerifyAdmin,
    forwarded: Forwarded,
) -> Result<Json<Permissions>, ApiError> {
    service::permissions(&app.service_pool(&forwarded)?)
        .await
        .map(Json)
}

async fn config(
    State(app): State<App>,
    VerifyAdmin(_): VerifyAdmin,
    forwarded: Forwarded,
) -> Result<Json<Value>, ApiError> {
    let days = service::retention(&app.service_pool(&forwarded)?).await?;
    Ok(Json(json!({ "retentionDays": days })))
}

async fn set_config(
    State(app): State<App>,
    VerifyAdmin(_): VerifyAdmin,
    forwarded: Forwarded,
    Body(body): Body<Value>,
) -> Result<Json<Value>, ApiError> {
    let days = service::read_retention(&body)?;
    service::set_retention(&app.service_pool(&forwarded)?, days).await?;
    Ok(Json(
        json!({ "message": "Retention config updated successfully" }),
    ))
}
