//! The two paths, and how the service's errors look on the wire.

use std::sync::Arc;

use axum::RequestExt;
use axum::extract::rejection::{BytesRejection, PathRejection};
use axum::extract::{FromRef, Path, Request, State};
use axum::response::Response;
use axum::routing::{MethodFilter, on};
use bytes::Bytes;
use http::StatusCode;
use ingot_http::{ApiError, BodySettings, Code, Forwarded, Routes, with_bodies};
use ingot_identity::{Authenticator, Identity, VerifyUser};

use super::schema::NameError;
use super::service::{Records, RecordsError};
use super::store::ColumnsError;
use crate::engine::{EngineError, RecordsRequest, Target};

/// State of the routes.
#[derive(Debug, Clone, FromRef)]
pub(crate) struct Api {
    /// The rules.
    pub(crate) records: Arc<Records>,
    /// Who a caller is.
    pub(crate) identity: Authenticator,
}

/// The routes; they belong behind the edge guard.
pub(crate) fn router(api: Api, body: &BodySettings) -> Routes {
    // Any other method gets the 404 of an unknown route (contract, database §1.2).
    let methods = MethodFilter::GET
        .or(MethodFilter::HEAD)
        .or(MethodFilter::POST)
        .or(MethodFilter::PUT)
        .or(MethodFilter::PATCH)
        .or(MethodFilter::DELETE)
        .or(MethodFilter::OPTIONS);
    let routes = Routes::new()
        .route("/api/database/records/{table}", on(methods, table))
        .route("/api/database/rpc/{function}", on(methods, function));
    routes.map(|router| with_bodies(router, body).with_state(api))
}

type Name = Result<Path<String>, PathRejection>;

async fn table(
    State(records): State<Arc<Records>>,
    VerifyUser(caller): VerifyUser,
    forwarded: Forwarded,
    name: Name,
    request: Request,
) -> Result<Response, ApiError> {
    let target = Target::Table(decoded(name)?);
    execute(&records, caller, forwarded, target, request).await
}

async fn function(
    State(records): State<Arc<Records>>,
    VerifyUser(caller): VerifyUser,
    forwarded: Forwarded,
    name: Name,
    request: Request,
) -> Result<Response, ApiError> {
    let target = Target::Function(decoded(name)?);
    execute(&records, caller, forwarded, target, request).await
}

fn decoded(name: Name) -> Result<String, ApiError> {
    name.map(|Path(name)| name)
        .map_err(|_| bad_name(NameError::Encoding))
}

async fn execute(
    records: &Arc<Records>,
    caller: Identity,
    forwarded: Forwarded,
    target: Target,
    mut request: Request,
) -> Result<Response, ApiError> {
    let method = request.method().clone();
    let query = request.uri().query().unwrap_or_default().to_owned();
    let headers = std::mem::take(request.headers_mut());
    let body = request
        .extract::<Bytes, _>()
        .await
        .map_err(|rejection| body_refused(&rejection))?;
    let request = RecordsRequest {
        project: forwarded.project,
        caller,
        method,
        target,
        query,
        headers,
        body,
    };
    Ok(records.execute(request).await?)
}

fn body_refused(rejection: &BytesRejection) -> ApiError {
    if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
        ApiError::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            Code::InvalidInput,
            "The request body is larger than this server accepts",
        )
        .with_hint("Send fewer rows at once, or raise MAX_JSON_BODY_SIZE")
    } else {
        ApiError::invalid_input("The request body could not be read")
    }
}

fn bad_name(error: NameError) -> ApiError {
    ApiError::new(
        StatusCode::BAD_REQUEST,
        Code::DatabaseValidationError,
        format!("The table or function cannot have this name: {error}"),
    )
    .with_hint("Use a name without double quotes and control characters")
}

impl From<RecordsError> for ApiError {
    fn from(error: RecordsError) -> Self {
        match error {
            RecordsError::Role(_) => Self::new(
                StatusCode::FORBIDDEN,
                Code::AuthUnauthorized,
                format!("Invalid role claim: {error}"),
            )
            .with_hint("Use a token whose role is anon, authenticated or project_admin"),
            RecordsError::Name(error) => bad_name(error),
            RecordsError::Schema(NameError::Forbidden) => Self::new(
                StatusCode::BAD_REQUEST,
                Code::DatabaseValidationError,
                format!("The schema cannot be used: {}", NameError::Forbidden),
            )
            .with_hint("Use a name without double quotes and control characters"),
            RecordsError::Schema(error) => {
                Self::invalid_input(format!("The schema cannot be used: {error}"))
                    .with_hint("Name one schema, or none for `public`")
            }
            RecordsError::Body(error) => {
                Self::invalid_input(format!("The request body is not valid JSON: {error}"))
                    .with_hint("Send a JSON object or array with double-quoted keys and strings")
            }
            RecordsError::Columns(ColumnsError::Pool(error)) => Self::internal(&error),
            RecordsError::Columns(ColumnsError::Database(error)) => error.into(),
            RecordsError::Engine(error) => error.into(),
        }
    }
}

impl From<EngineError> for ApiError {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Unavailable(cause) => Self::unavailable(&cause),
            EngineError::TimedOut(cause) => {
                tracing::warn!(error = cause, "a records request took too long");
                Self::new(
                    StatusCode::GATEWAY_TIMEOUT,
                    Code::InternalError,
                    "The request took too long and was given up; it may have been executed",
                )
                .with_hint("Check what was written before you send it again")
            }
            EngineError::Internal(cause) => Self::internal(&cause),
        }
    }
}
