//! `/api/auth/sessions`, `/api/auth/refresh` and `/api/auth/logout`.

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use ingot_http::{ApiError, Body, Forwarded, Query, Routes, Valid, Validate};
use ingot_identity::{SessionType, Transport, VerifyToken};
use serde::{Deserialize, Serialize};

use super::service::{self, Presented, Tokens};
use crate::app::App;
use crate::auth::accounts::{self, SignedIn, User};
use crate::auth::client::ClientQuery;
use crate::auth::cookies;
use crate::auth::failure::Failure;
use crate::auth::fields::is_email;

pub(in crate::auth) fn router() -> Routes<App> {
    Routes::new()
        .route("/sessions", post(sign_in))
        .route("/sessions/current", get(current))
        .route("/refresh", post(refresh))
        .route("/logout", post(log_out))
}

/// What a signed-in client is told. Browsers get the CSRF value and a cookie, others the refresh
/// token.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SessionAnswer {
    user: User,
    access_token: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    csrf_token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    require_email_verification: Option<bool>,
}

fn answer(signed_in: SignedIn, require_email_verification: Option<bool>) -> Response {
    let SignedIn { user, tokens } = signed_in;
    let Tokens {
        access,
        refresh,
        csrf,
        transport,
    } = tokens;
    let body = |csrf_token, refresh_token| {
        Json(SessionAnswer {
            user,
            access_token: access,
            csrf_token,
            refresh_token,
            require_email_verification,
        })
    };
    match transport {
        Transport::Cookie => {
            cookies::with_cookie(body(Some(csrf), None), SessionType::User, &refresh)
        }
        Transport::Body => body(None, Some(refresh)).into_response(),
    }
}

/// The answer to a sign-up that signed in.
pub(in crate::auth) fn answer_sign_up(signed_in: SignedIn) -> Response {
    answer(signed_in, Some(false))
}

#[derive(Deserialize)]
struct SignInBody {
    method: Option<String>,
    email: String,
    password: Option<String>,
    otp: Option<String>,
}

impl SignInBody {
    fn is_password(&self) -> bool {
        self.method
            .as_deref()
            .is_none_or(|method| method == "password")
    }
}

impl Validate for SignInBody {
    fn validate(&self, complain: &mut dyn FnMut(&str, &str)) {
        let by_code = self.method.as_deref() == Some("otp");
        if !is_email(&self.email) {
            complain("email", "is not an e-mail address");
        }
        if self.is_password() && self.password.is_none() {
            complain("password", "is required");
        }
        if !self.is_password() && !by_code {
            complain("method", "must be `password` or `otp`");
        }
        let is_code = |code: &str| code.len() == 6 && code.bytes().all(|b| b.is_ascii_digit());
        if by_code && !self.otp.as_deref().is_some_and(is_code) {
            complain("otp", "must be 6 digits");
        }
    }
}

async fn sign_in(
    State(app): State<App>,
    forwarded: Forwarded,
    Query(client): Query<ClientQuery>,
    Valid(body): Valid<SignInBody>,
) -> Result<Response, ApiError> {
    if !body.is_password() {
        // No code was ever sent, so none can be right.
        return Err(Failure::WrongCode.into());
    }
    let pool = app.service_pool(&forwarded)?;
    let (budget, result) = service::sign_in(
        &app,
        &forwarded.project,
        &pool,
        forwarded.client,
        &body.email.to_lowercase(),
        body.password.unwrap_or_default(),
        client.transport(),
    )
    .await;
    let result = result.map(|signed_in| answer(signed_in, None));
    Ok((budget, result.map_err(ApiError::from)).into_response())
}

#[derive(Serialize)]
struct CurrentUser {
    user: User,
}

async fn current(
    State(app): State<App>,
    VerifyToken(caller): VerifyToken,
    forwarded: Forwarded,
) -> Result<Json<CurrentUser>, ApiError> {
    let user = accounts::current_user(&app.service_pool(&forwarded)?, &caller).await?;
    Ok(Json(CurrentUser { user }))
}

/// A refresh token in a body; SDKs write it in either way.
#[derive(Deserialize)]
struct RefreshBody {
    #[serde(rename = "refreshToken")]
    camel: Option<String>,
    #[serde(rename = "refresh_token")]
    snake: Option<String>,
}

impl RefreshBody {
    fn token(self) -> Option<String> {
        let given = |token: Option<String>| token.filter(|token| !token.is_empty());
        given(self.camel).or_else(|| given(self.snake))
    }
}

async fn refresh(
    State(app): State<App>,
    forwarded: Forwarded,
    Query(client): Query<ClientQuery>,
    headers: HeaderMap,
    Body(body): Body<RefreshBody>,
) -> Result<Response, ApiError> {
    let transport = client.transport();
    let token = match transport {
        Transport::Cookie => cookies::refresh_token(&headers, SessionType::User),
        Transport::Body => Some(
            body.token()
                .ok_or_else(|| ApiError::invalid_input("refreshToken: is required"))?,
        ),
    };
    let Some(token) = token else {
        return Ok(signed_out(Failure::SessionEnded));
    };
    let presented = Presented {
        token: &token,
        transport,
        csrf: cookies::csrf_token(&headers),
    };
    let pool = app.service_pool(&forwarded)?;
    match service::refresh(&app, &forwarded.project, &pool, presented).await {
        Ok(signed_in) => Ok(answer(signed_in, None)),
        Err(ended @ Failure::SessionEnded) if transport == Transport::Cookie => {
            Ok(signed_out(ended))
        }
        Err(other) => Err(other.into()),
    }
}

/// The refusal that also removes the cookie, which is good for nothing any more.
fn signed_out(failure: Failure) -> Response {
    cookies::without_cookie(ApiError::from(failure), SessionType::User)
}

#[derive(Serialize)]
pub(in crate::auth) struct SignedOut {
    success: bool,
    message: &'static str,
}

impl SignedOut {
    pub(in crate::auth) const DONE: Self = Self {
        success: true,
        message: "Signed out",
    };
}

/// Always succeeds, but for a valid cookie without its CSRF value.
async fn log_out(
    State(app): State<App>,
    forwarded: Forwarded,
    Query(client): Query<ClientQuery>,
    headers: HeaderMap,
    Body(body): Body<RefreshBody>,
) -> Result<Response, ApiError> {
    let transport = client.transport();
    let token = match transport {
        Transport::Cookie => cookies::refresh_token(&headers, SessionType::User),
        Transport::Body => body.token(),
    };
    if let Some(token) = token {
        let presented = Presented {
            token: &token,
            transport,
            csrf: cookies::csrf_token(&headers),
        };
        match presented.read(&forwarded.project, SessionType::User) {
            Ok(claims) => service::end(&app.service_pool(&forwarded)?, &claims).await?,
            Err(Failure::SessionEnded) => {}
            Err(forged) => return Err(forged.into()),
        }
    }
    let done = Json(SignedOut::DONE);
    Ok(match transport {
        Transport::Cookie => cookies::without_cookie(done, SessionType::User),
        Transport::Body => done.into_response(),
    })
}
