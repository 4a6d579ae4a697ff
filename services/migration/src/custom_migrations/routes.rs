//! `/api/database/migrations`.

use axum::Json;
use axum::extract::{FromRequest, Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::StatusCode;
use ingot_http::{
    ApiError, Body as JsonBody, Forwarded, Problem, Routes, Timestamp, Valid, Validate,
};
use ingot_identity::VerifyAdmin;
use ingot_project::LoginRole;
use serde::{Deserialize, Serialize};
use utoipa::OpenApi as _;
use utoipa::openapi::OpenApi;

use super::dry_run::{self, Forecast};
use super::service::{self, NewMigration};
use super::store::{self, AppliedMigration};
use crate::app::App;

/// Most digits of a version (contract, database §8.2).
const MAX_VERSION_DIGITS: usize = 64;

/// What the handlers of this file take and answer.
#[derive(utoipa::OpenApi)]
#[openapi(
    info(title = "Ingot: migrations of the database control plane"),
    paths(list, create, dry_run),
    components(schemas(Problem))
)]
struct Document;

/// The routes under `/api/database/migrations`.
pub(crate) fn router() -> Routes<App> {
    Routes::new()
        .route("/", get(list).post(create))
        .route("/dry-run", post(dry_run))
        .route("/openapi.json", get(document))
}

/// Answers without a key: the document says nothing about a project.
async fn document() -> Json<OpenApi> {
    Json(Document::openapi())
}

#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Migration)]
struct Shown {
    version: String,
    name: String,
    statements: Vec<String>,
    created_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    message: Option<&'static str>,
}

impl Shown {
    fn new(migration: AppliedMigration, message: Option<&'static str>) -> Self {
        Self {
            version: migration.version,
            name: migration.name,
            statements: migration.statements,
            created_at: migration.created_at.into(),
            message,
        }
    }
}

#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Migrations)]
struct Listing {
    migrations: Vec<Shown>,
}

#[utoipa::path(
    get,
    path = "/api/database/migrations",
    tag = "migrations",
    operation_id = "listMigrations",
    responses((status = 200, body = Listing), ApiError),
)]
async fn list(
    State(app): State<App>,
    VerifyAdmin(_): VerifyAdmin,
    forwarded: Forwarded,
) -> Result<Json<Listing>, ApiError> {
    let pool = app.pool(&forwarded, LoginRole::Service)?;
    let migrations = store::list(&pool)
        .await?
        .into_iter()
        .map(|migration| Shown::new(migration, None))
        .collect();
    Ok(Json(Listing { migrations }))
}

#[derive(Deserialize, utoipa::ToSchema)]
#[schema(as = MigrationBody)]
struct Body {
    /// Larger than that of every migration before.
    #[schema(pattern = "^[0-9]{1,64}$")]
    version: String,
    #[schema(pattern = "^[a-z0-9-]+$")]
    name: String,
    #[schema(min_length = 1)]
    sql: String,
}

impl Validate for Body {
    fn validate(&self, complain: &mut dyn FnMut(&str, &str)) {
        let digits = self.version.bytes().all(|byte| byte.is_ascii_digit());
        if !digits || !(1..=MAX_VERSION_DIGITS).contains(&self.version.len()) {
            complain("version", "must be 1 to 64 digits");
        }
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let name = self.name.trim();
        if name.is_empty() || !name.bytes().all(plain) {
            complain("name", "must be made of a-z, 0-9 and -");
        }
        if self.sql.trim().is_empty() {
            complain("sql", "must not be empty");
        }
    }
}

#[utoipa::path(
    post,
    path = "/api/database/migrations",
    tag = "migrations",
    operation_id = "applyMigration",
    request_body = Body,
    responses((status = 201, body = Shown), ApiError),
)]
async fn create(
    State(app): State<App>,
    VerifyAdmin(caller): VerifyAdmin,
    forwarded: Forwarded,
    Valid(body): Valid<Body>,
) -> Result<(StatusCode, Json<Shown>), ApiError> {
    let migration = NewMigration {
        version: body.version,
        name: body.name.trim().to_owned(),
        sql: body.sql.trim().to_owned(),
    };
    let applied = service::apply(&app, &forwarded, caller.actor(), migration).await?;
    let shown = Shown::new(applied, Some("Migration executed successfully"));
    Ok((StatusCode::CREATED, Json(shown)))
}

#[derive(Deserialize, utoipa::ToSchema)]
struct Rehearsal {
    sql: String,
}

/// Counts before it looks at the body: a wrong one takes work, too.
#[utoipa::path(
    post,
    path = "/api/database/migrations/dry-run",
    tag = "migrations",
    operation_id = "rehearseMigration",
    request_body = Rehearsal,
    responses((status = 200, body = Forecast), ApiError),
)]
async fn dry_run(
    State(app): State<App>,
    VerifyAdmin(_): VerifyAdmin,
    forwarded: Forwarded,
    request: Request,
) -> Response {
    let project = &forwarded.project.id;
    let quota = app.rehearsals.count(project, forwarded.client);
    if let Some(refusal) = quota.refusal() {
        return quota.tell(refusal.into_response());
    }
    let answer = match JsonBody::<Rehearsal>::from_request(request, &()).await {
        Ok(JsonBody(body)) => dry_run::run(&app, &forwarded, &body.sql)
            .await
            .map(Json)
            .into_response(),
        Err(refusal) => refusal,
    };
    quota.tell(answer)
}
