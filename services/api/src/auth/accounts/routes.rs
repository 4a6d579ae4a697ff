//! `/api/auth/users` and `/api/auth/profiles`.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, patch, post};
use ingot_http::{ApiError, Body, Forwarded, Path, Query, Routes, Valid, Validate};
use ingot_identity::{VerifyAdmin, VerifyToken, VerifyUser};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use url::Url;
use uuid::Uuid;

use super::service::{self, Connections, SignUp, SignedUp};
use super::store::{Profile, User};
use crate::app::App;
use crate::auth::client::ClientQuery;
use crate::auth::fields::{is_email, trimmed_name, user_id};
use crate::auth::sessions;
use crate::query::whole_number;

/// Users in one answer unless the caller asks for another number.
const DEFAULT_LIMIT: i64 = 10;
/// Most users in one answer.
const MAX_LIMIT: i64 = 10_000;

pub(in crate::auth) fn router() -> Routes<App> {
    Routes::new()
        .route("/users", post(sign_up).get(list).delete(delete))
        .route("/users/{user_id}", get(show))
        .route("/profiles/{user_id}", get(profile))
        .route("/profiles/current", patch(change_profile).get(no_such_id))
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SignUpBody {
    email: String,
    password: String,
    name: Option<String>,
    redirect_to: Option<String>,
    auto_confirm: Option<bool>,
}

impl Validate for SignUpBody {
    fn validate(&self, complain: &mut dyn FnMut(&str, &str)) {
        if !is_email(&self.email) {
            complain("email", "is not an e-mail address");
        }
        if self
            .name
            .as_deref()
            .is_some_and(|name| trimmed_name(name).is_none())
        {
            complain("name", "must have 1 to 100 characters");
        }
        if self
            .redirect_to
            .as_deref()
            .is_some_and(|url| Url::parse(url).is_err())
        {
            complain("redirectTo", "is not a URL");
        }
    }
}

async fn sign_up(
    State(app): State<App>,
    VerifyUser(caller): VerifyUser,
    forwarded: Forwarded,
    Query(client): Query<ClientQuery>,
    Valid(body): Valid<SignUpBody>,
) -> Result<Response, ApiError> {
    let request = SignUp {
        email: body.email.to_lowercase(),
        name: body
            .name
            .as_deref()
            .and_then(trimmed_name)
            .map(str::to_owned),
        auto_confirm: body.auto_confirm.unwrap_or(false),
        password: body.password,
    };
    let pools = connections(&app, &forwarded)?;
    let (project, transport) = (&forwarded.project, client.transport());
    let done = service::sign_up(&app, project, &pools, &caller, request, transport).await?;
    Ok(match done {
        SignedUp::In(signed_in) => sessions::answer_sign_up(signed_in),
        SignedUp::ByAdministrator { user, access_token } => Json(json!({
            "user": user, "accessToken": access_token, "requireEmailVerification": false,
        }))
        .into_response(),
        SignedUp::Unverified {
            verification_needed,
        } => Json(json!({
            "accessToken": null, "requireEmailVerification": verification_needed,
        }))
        .into_response(),
    })
}

#[derive(Deserialize)]
struct Listing {
    limit: Option<String>,
    offset: Option<String>,
    search: Option<String>,
}

#[derive(Serialize)]
struct Users {
    data: Vec<User>,
    pagination: Pagination,
}

#[derive(Serialize)]
struct Pagination {
    offset: i64,
    limit: i64,
    total: i64,
}

async fn list(
    State(app): State<App>,
    VerifyAdmin(_): VerifyAdmin,
    forwarded: Forwarded,
    Query(query): Query<Listing>,
) -> Result<Json<Users>, ApiError> {
    let limit = whole_number(query.limit.as_deref())
        .unwrap_or(DEFAULT_LIMIT)
        .clamp(1, MAX_LIMIT);
    let offset = whole_number(query.offset.as_deref()).unwrap_or(0);
    let search = query.search.filter(|text| !text.is_empty());
    let pool = app.service_pool(&forwarded)?;
    let (data, total) = service::page(&pool, search.as_deref(), limit, offset).await?;
    Ok(Json(Users {
        data,
        pagination: Pagination {
            offset,
            limit,
            total,
        },
    }))
}

async fn show(
    State(app): State<App>,
    VerifyAdmin(_): VerifyAdmin,
    forwarded: Forwarded,
    Path(id): Path<String>,
) -> Result<Json<User>, ApiError> {
    let id = read_id(&id)?;
    Ok(Json(
        service::user(&app.service_pool(&forwarded)?, id).await?,
    ))
}

#[derive(Deserialize)]
struct Deletion {
    #[serde(rename = "userIds")]
    user_ids: Vec<String>,
}

impl Validate for Deletion {
    fn validate(&self, complain: &mut dyn FnMut(&str, &str)) {
        if self.user_ids.is_empty() {
            complain("userIds", "must name at least one user");
        }
        for (index, id) in self.user_ids.iter().enumerate() {
            if user_id(id).is_none() {
                complain(&format!("userIds.{index}"), "is not a UUID");
            }
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Deleted {
    message: &'static str,
    deleted_count: usize,
}

async fn delete(
    State(app): State<App>,
    VerifyAdmin(caller): VerifyAdmin,
    forwarded: Forwarded,
    Valid(body): Valid<Deletion>,
) -> Result<Json<Deleted>, ApiError> {
    let ids: Vec<Uuid> = body.user_ids.iter().filter_map(|id| user_id(id)).collect();
    let pools = connections(&app, &forwarded)?;
    let (project, client) = (&forwarded.project, forwarded.client);
    let deleted_count = service::delete(&app, project, &pools, &caller, client, &ids).await?;
    Ok(Json(Deleted {
        message: "The users were deleted",
        deleted_count,
    }))
}

async fn profile(
    State(app): State<App>,
    forwarded: Forwarded,
    Path(id): Path<String>,
) -> Result<Json<Profile>, ApiError> {
    let id = read_id(&id)?;
    Ok(Json(
        service::profile(&app.service_pool(&forwarded)?, id).await?,
    ))
}

#[derive(Deserialize)]
struct ProfileChange {
    profile: Map<String, Value>,
}

async fn change_profile(
    State(app): State<App>,
    VerifyToken(caller): VerifyToken,
    forwarded: Forwarded,
    Body(body): Body<ProfileChange>,
) -> Result<Json<Profile>, ApiError> {
    let admin = app.admin_pools(&forwarded)?;
    Ok(Json(
        service::change_profile(&admin, &caller, body.profile).await?,
    ))
}

/// `current` is a path of its own for changes only; to read, it is an id like any other.
async fn no_such_id() -> ApiError {
    invalid_id()
}

fn connections(app: &App, forwarded: &Forwarded) -> Result<Connections, ApiError> {
    Ok(Connections {
        service: app.service_pool(forwarded)?,
        admin: app.admin_pools(forwarded)?,
    })
}

fn read_id(text: &str) -> Result<Uuid, ApiError> {
    user_id(text).ok_or_else(invalid_id)
}

fn invalid_id() -> ApiError {
    ApiError::invalid_input("userId: is not a UUID")
}
