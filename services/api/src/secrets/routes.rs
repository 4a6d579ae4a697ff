//! `/api/secrets`, and the routes that show a project's keys to its administrator.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, post};
use ingot_http::{ApiError, Body, Forwarded, Path, Routes, Timestamp, Valid, Validate};
use ingot_identity::{Identity, VerifyAdmin};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::service::{self, Actor, ClientKey, Update};
use super::store::Listed;
use crate::app::App;
use crate::dates::read_time;

/// The routes under `/api/secrets`.
pub(crate) fn router() -> Routes<App> {
    Routes::new()
        .route("/", get(list).post(create))
        .route("/{key}", get(show).put(update).delete(delete))
        .route("/api-key/rotate", post(rotate_api_key))
        .route("/anon-key/rotate", post(rotate_anon_key))
}

/// The routes under `/api/metadata` that show keys.
pub(crate) fn metadata_router() -> Routes<App> {
    Routes::new()
        .route("/api-key", get(api_key))
        .route("/anon-key", get(anon_key))
}

#[derive(Serialize)]
struct Secrets {
    secrets: Vec<Listed>,
}

async fn list(
    State(app): State<App>,
    VerifyAdmin(_): VerifyAdmin,
    forwarded: Forwarded,
) -> Result<Json<Secrets>, ApiError> {
    let secrets = service::list(&app.service_pool(&forwarded)?).await?;
    Ok(Json(Secrets { secrets }))
}

#[derive(Serialize)]
struct Shown {
    key: String,
    value: String,
}

async fn show(
    State(app): State<App>,
    VerifyAdmin(caller): VerifyAdmin,
    forwarded: Forwarded,
    Path(key): Path<String>,
) -> Result<Json<Shown>, ApiError> {
    let actor = Actor {
        caller: &caller,
        client: forwarded.client,
    };
    let pool = app.service_pool(&forwarded)?;
    let value = service::show(&forwarded.project, &pool, actor, &key).await?;
    Ok(Json(Shown {
        key,
        value: value.expose().to_owned(),
    }))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Creation {
    key: String,
    value: String,
    is_reserved: Option<bool>,
    expires_at: Option<String>,
}

impl Validate for Creation {
    fn validate(&self, complain: &mut dyn FnMut(&str, &str)) {
        let is_name = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_';
        if self.key.is_empty() || !self.key.bytes().all(is_name) {
            complain("key", "must consist of A-Z, 0-9 and _");
        }
        if self.value.is_empty() {
            complain("value", "is required");
        }
    }
}

#[derive(Serialize)]
struct Created {
    success: bool,
    message: &'static str,
    id: Uuid,
}

async fn create(
    State(app): State<App>,
    VerifyAdmin(caller): VerifyAdmin,
    forwarded: Forwarded,
    Valid(body): Valid<Creation>,
) -> Result<(StatusCode, Json<Created>), ApiError> {
    let expires_at = body
        .expires_at
        .filter(|text| !text.is_empty())
        .map(|text| read_time("expiresAt", &text))
        .transpose()?;
    let actor = Actor {
        caller: &caller,
        client: forwarded.client,
    };
    let id = service::create(
        &forwarded.project,
        &app.service_pool(&forwarded)?,
        actor,
        &body.key,
        &body.value,
        body.is_reserved.unwrap_or(false),
        expires_at,
    )
    .await?;
    let created = Created {
        success: true,
        message: "The secret was stored",
        id,
    };
    Ok((StatusCode::CREATED, Json(created)))
}

/// Every part may be absent; `expiresAt` may also be null or empty, which removes the end.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct UpdateBody {
    value: Option<String>,
    is_active: Option<bool>,
    is_reserved: Option<bool>,
    #[serde(default, deserialize_with = "given")]
    #[allow(
        clippy::option_option,
        reason = "absent, null and a date are three things"
    )]
    expires_at: Option<Option<String>>,
}

/// Tells `null` from absent.
#[allow(
    clippy::option_option,
    reason = "absent, null and a date are three things"
)]
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

impl Validate for UpdateBody {
    fn validate(&self, complain: &mut dyn FnMut(&str, &str)) {
        if self.value.as_deref() == Some("") {
            complain("value", "must not be empty");
        }
        let given = self.value.is_some()
            || self.is_active.is_some()
            || self.is_reserved.is_some()
            || self.expires_at.is_some();
        if !given {
            complain(
                "",
                "send at least one of value, isActive, isReserved, expiresAt",
            );
        }
    }
}

#[derive(Serialize)]
struct Done {
    success: bool,
    message: &'static str,
}

async fn update(
    State(app): State<App>,
    VerifyAdmin(caller): VerifyAdmin,
    forwarded: Forwarded,
    Path(key): Path<String>,
    Valid(body): Valid<UpdateBody>,
) -> Result<Json<Done>, ApiError> {
    let expires_at = body.expires_at.map(|text| match text.as_deref() {
        None | Some("") => Ok(None),
        Some(text) => read_time("expiresAt", text).map(Some),
    });
    let update = Update {
        value: body.value,
        is_active: body.is_active,
        is_reserved: body.is_reserved,
        expires_at: expires_at.transpose()?,
    };
    let actor = Actor {
        caller: &caller,
        client: forwarded.client,
    };
    let pool = app.service_pool(&forwarded)?;
    service::update(&forwarded.project, &pool, actor, &key, update).await?;
    Ok(Json(Done {
        success: true,
        message: "The secret was changed",
    }))
}

async fn delete(
    State(app): State<App>,
    VerifyAdmin(caller): VerifyAdmin,
    forwarded: Forwarded,
    Path(key): Path<String>,
) -> Result<Json<Done>, ApiError> {
    let actor = Actor {
        caller: &caller,
        client: forwarded.client,
    };
    service::delete(&app.service_pool(&forwarded)?, actor, &key).await?;
    Ok(Json(Done {
        success: true,
        message: "The secret was deleted",
    }))
}

#[derive(Deserialize)]
struct Rotation {
    #[serde(rename = "gracePeriodHours", default)]
    grace_period_hours: Value,
}

impl Rotation {
    /// A whole number of hours within the key's limit; numeric strings count.
    fn hours(&self, key: ClientKey) -> Result<i64, ApiError> {
        let (default, greatest) = key.grace_hours();
        let hours = match &self.grace_period_hours {
            Value::Null => Some(default),
            Value::Number(number) => number.as_i64(),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        hours
            .filter(|hours| (0..=greatest).contains(hours))
            .ok_or_else(|| {
                ApiError::invalid_input(format!(
                    "gracePeriodHours: must be a whole number from 0 to {greatest}"
                ))
            })
    }
}

async fn rotate_api_key(
    State(app): State<App>,
    VerifyAdmin(caller): VerifyAdmin,
    forwarded: Forwarded,
    Body(body): Body<Rotation>,
) -> Result<Json<Value>, ApiError> {
    let (key, ends) = rotate(&app, &caller, &forwarded, &body, ClientKey::Api).await?;
    Ok(Json(json!({
        "success": true,
        "message": "The API key was rotated",
        "apiKey": key,
        "oldKeyExpiresAt": ends,
    })))
}

async fn rotate_anon_key(
    State(app): State<App>,
    VerifyAdmin(caller): VerifyAdmin,
    forwarded: Forwarded,
    Body(body): Body<Rotation>,
) -> Result<Json<Value>, ApiError> {
    let (key, ends) = rotate(&app, &caller, &forwarded, &body, ClientKey::Anon).await?;
    Ok(Json(json!({
        "success": true,
        "message": "The anon key was rotated",
        "anonKey": key,
        "oldKeyExpiresAt": ends,
    })))
}

async fn rotate(
    app: &App,
    caller: &Identity,
    forwarded: &Forwarded,
    body: &Rotation,
    key: ClientKey,
) -> Result<(String, Timestamp), ApiError> {
    let hours = body.hours(key)?;
    let actor = Actor {
        caller,
        client: forwarded.client,
    };
    let pool = app.service_pool(forwarded)?;
    let (fresh, ends) = service::rotate(app, &forwarded.project, &pool, actor, key, hours).await?;
    Ok((fresh.expose().to_owned(), ends.into()))
}

async fn api_key(
    State(app): State<App>,
    VerifyAdmin(_): VerifyAdmin,
    forwarded: Forwarded,
) -> Result<Json<Value>, ApiError> {
    let key = current(&app, &forwarded, ClientKey::Api).await?;
    Ok(Json(json!({ "apiKey": key })))
}

async fn anon_key(
    State(app): State<App>,
    VerifyAdmin(_): VerifyAdmin,
    forwarded: Forwarded,
) -> Result<Json<Value>, ApiError> {
    let key = current(&app, &forwarded, ClientKey::Anon).await?;
    Ok(Json(json!({ "anonKey": key })))
}

/// `POST /api/auth/tokens/anon`: the anon key where older clients expect a token.
pub(crate) async fn anon_token(
    State(app): State<App>,
    VerifyAdmin(_): VerifyAdmin,
    forwarded: Forwarded,
) -> Result<Json<Value>, ApiError> {
    let key = current(&app, &forwarded, ClientKey::Anon).await?;
    Ok(Json(json!({
        "accessToken": key,
        "message": "This is the anon key; it does not expire",
    })))
}

async fn current(app: &App, forwarded: &Forwarded, key: ClientKey) -> Result<String, ApiError> {
    let pool = app.service_pool(forwarded)?;
    let value = service::client_key(&forwarded.project, &pool, key).await?;
    Ok(value.expose().to_owned())
}
