//! `/api/auth/admin`.

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use ingot_http::{ApiError, Forwarded, Routes, Valid, Validate};
use ingot_identity::{SessionType, Transport, VerifyToken};
use serde::{Deserialize, Serialize};

use super::service::{self, Session};
use crate::app::App;
use crate::auth::cookies;
use crate::auth::failure::Failure;
use crate::auth::fields::trimmed_name;
use crate::auth::sessions::{self, Presented, SignedOut};

pub(in crate::auth) fn router() -> Routes<App> {
    Routes::new()
        .route("/sessions", post(sign_in))
        .route("/sessions/exchange", post(exchange))
        .route("/sessions/current", get(current))
        .route("/refresh", post(refresh))
        .route("/logout", post(log_out))
}

#[derive(Serialize)]
struct Administrator {
    sub: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SessionAnswer {
    admin: Administrator,
    access_token: String,
    csrf_token: String,
}

fn answer(session: Session) -> Response {
    let Session { subject, tokens } = session;
    let body = SessionAnswer {
        admin: Administrator { sub: subject },
        access_token: tokens.access,
        csrf_token: tokens.csrf,
    };
    cookies::with_cookie(Json(body), SessionType::Admin, &tokens.refresh)
}

#[derive(Deserialize)]
struct SignInBody {
    username: String,
    password: String,
}

impl Validate for SignInBody {
    fn validate(&self, complain: &mut dyn FnMut(&str, &str)) {
        if trimmed_name(&self.username).is_none() {
            complain("username", "must have 1 to 100 characters");
        }
        if self.password.is_empty() {
            complain("password", "is required");
        }
    }
}

async fn sign_in(
    State(app): State<App>,
    forwarded: Forwarded,
    Valid(body): Valid<SignInBody>,
) -> Result<Response, ApiError> {
    let pool = app.service_pool(&forwarded)?;
    let (budget, result) = service::sign_in(
        &app,
        &forwarded.project,
        &pool,
        forwarded.client,
        body.username.trim(),
        &body.password,
    )
    .await;
    let result = result.map(answer);
    Ok((budget, result.map_err(ApiError::from)).into_response())
}

#[derive(Deserialize)]
struct ExchangeBody {
    code: String,
}

impl Validate for ExchangeBody {
    fn validate(&self, complain: &mut dyn FnMut(&str, &str)) {
        if self.code.is_empty() {
            complain("code", "is required");
        }
    }
}

async fn exchange(
    State(app): State<App>,
    forwarded: Forwarded,
    Valid(body): Valid<ExchangeBody>,
) -> Result<Response, ApiError> {
    let pool = app.service_pool(&forwarded)?;
    let session = service::exchange(&app, &forwarded.project, &pool, &body.code).await?;
    Ok(answer(session))
}

#[derive(Serialize)]
struct Current {
    admin: Administrator,
}

async fn current(VerifyToken(caller): VerifyToken) -> Result<Json<Current>, ApiError> {
    let sub = service::current(caller)?;
    Ok(Json(Current {
        admin: Administrator { sub },
    }))
}

/// The cookie's token with what proves that the dashboard sent it.
fn presented<'a>(token: &'a str, headers: &'a HeaderMap) -> Presented<'a> {
    Presented {
        token,
        transport: Transport::Cookie,
        csrf: cookies::csrf_token(headers),
    }
}

async fn refresh(
    State(app): State<App>,
    forwarded: Forwarded,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let Some(token) = cookies::refresh_token(&headers, SessionType::Admin) else {
        return Ok(signed_out(Failure::SessionEnded));
    };
    let pool = app.service_pool(&forwarded)?;
    match service::refresh(&app, &forwarded.project, &pool, presented(&token, &headers)).await {
        Ok(session) => Ok(answer(session)),
        Err(ended @ Failure::SessionEnded) => Ok(signed_out(ended)),
        Err(other) => Err(other.into()),
    }
}

fn signed_out(failure: Failure) -> Response {
    cookies::without_cookie(ApiError::from(failure), SessionType::Admin)
}

async fn log_out(
    State(app): State<App>,
    forwarded: Forwarded,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    if let Some(token) = cookies::refresh_token(&headers, SessionType::Admin) {
        match presented(&token, &headers).read(&forwarded.project, SessionType::Admin) {
            Ok(claims) => sessions::end(&app.service_pool(&forwarded)?, &claims).await?,
            Err(Failure::SessionEnded) => {}
            Err(forged) => return Err(forged.into()),
        }
    }
    Ok(cookies::without_cookie(
        Json(SignedOut::DONE),
        SessionType::Admin,
    ))
}
