//! The rules of accounts.

use std::net::IpAddr;

use ingot_bus::{DashboardEvent, Invalidation, Resource};
use ingot_identity::{Identity, Role, Transport};
use ingot_project::{AdminPools, Project};
use serde_json::{Map, Value, json};
use sqlx::PgPool;
use uuid::Uuid;

use super::store::{self, NewUser, Profile, User};
use crate::app::App;
use crate::audit;
use crate::auth::config;
use crate::auth::failure::Failure;
use crate::auth::fields;
use crate::auth::sessions::{self, Tokens};

/// What somebody wants to sign up with; already checked for form.
#[derive(Debug)]
pub(super) struct SignUp {
    /// Lower case.
    pub(super) email: String,
    pub(super) password: String,
    pub(super) name: Option<String>,
    /// Whether an administrator vouches for the address.
    pub(super) auto_confirm: bool,
}

/// What came of it.
#[derive(Debug)]
pub(super) enum SignedUp {
    /// The account is usable: the user is signed in.
    In(SignedIn),
    /// An administrator made an account; its access token is handed to him, and no session opened.
    ByAdministrator { user: User, access_token: String },
    /// The address has to be verified first.
    Unverified { verification_needed: bool },
}

/// A signed-in user.
#[derive(Debug)]
pub(in crate::auth) struct SignedIn {
    pub(in crate::auth) user: User,
    pub(in crate::auth) tokens: Tokens,
}

/// The project's connections.
#[derive(Debug)]
pub(super) struct Connections {
    /// Of the services.
    pub(super) service: PgPool,
    /// For what runs the project's own code: every change of accounts.
    pub(super) admin: AdminPools,
}

/// Creates an account (contract, auth §6.1: the order of the refusals is part of it).
pub(super) async fn sign_up(
    app: &App,
    project: &Project,
    pools: &Connections,
    caller: &Identity,
    request: SignUp,
    transport: Transport,
) -> Result<SignedUp, Failure> {
    let pool = &pools.service;
    let config = config::current(pool).await?;
    if config.disable_signup && !caller.is_admin() {
        return Err(Failure::SignupDisabled);
    }
    config.check_password(&request.password)?;
    // Before hashing, which is dear; the insert decides.
    if store::email_exists(pool, &request.email).await? {
        return Err(Failure::EmailExists);
    }
    let user = create(app, pools, caller, request).await?;
    app.announce(&project.id, DashboardEvent::of(Resource::Users))
        .await;
    if config.require_email_verification {
        return verification(caller, &user);
    }
    if caller.is_admin() {
        let access_token = sessions::access_token(app, project, &user).await?;
        return Ok(SignedUp::ByAdministrator { user, access_token });
    }
    let tokens = sessions::open(app, project, pool, &user, transport).await?;
    Ok(SignedUp::In(SignedIn { user, tokens }))
}

async fn create(
    app: &App,
    pools: &Connections,
    caller: &Identity,
    request: SignUp,
) -> Result<User, Failure> {
    let password_hash = app.auth.passwords.hash(request.password).await?;
    let profile: Map<String, Value> = request
        .name
        .map(|name| ("name".to_owned(), Value::String(name)))
        .into_iter()
        .collect();
    let new = NewUser {
        email: &request.email,
        password_hash: &password_hash,
        email_verified: caller.is_admin() && request.auto_confirm,
        profile: Value::Object(profile),
    };
    let id = store::insert(&pools.admin, new)
        .await?
        .ok_or(Failure::EmailExists)?;
    // It may be deleted by now.
    store::by_id(&pools.service, id)
        .await?
        .ok_or(Failure::UserNotFound)
}

/// Administrators verify later or vouch; for everybody else a mail would have to go out, and
/// nothing here can send one.
fn verification(caller: &Identity, user: &User) -> Result<SignedUp, Failure> {
    if caller.is_admin() {
        Ok(SignedUp::Unverified {
            verification_needed: !user.is_verified(),
        })
    } else {
        Err(Failure::VerificationNotSent)
    }
}

/// The account behind a token. Third parties' subjects need not be ids of ours.
pub(in crate::auth) async fn current_user(
    pool: &PgPool,
    caller: &Identity,
) -> Result<User, Failure> {
    if caller.role != Role::Authenticated {
        return Err(Failure::NotAUser);
    }
    let id = caller.subject.as_deref().and_then(fields::user_id);
    store::by_id(pool, id.ok_or(Failure::NotAUser)?)
        .await?
        .ok_or(Failure::NotAUser)
}

pub(super) async fn user(pool: &PgPool, id: Uuid) -> Result<User, Failure> {
    store::by_id(pool, id).await?.ok_or(Failure::UserNotFound)
}

pub(super) async fn profile(pool: &PgPool, id: Uuid) -> Result<Profile, Failure> {
    store::profile(pool, id).await?.ok_or(Failure::UserNotFound)
}

/// Changes the caller's own profile.
pub(super) async fn change_profile(
    admin: &AdminPools,
    caller: &Identity,
    changes: Map<String, Value>,
) -> Result<Profile, Failure> {
    if caller.is_admin() {
        return Err(Failure::NoProfile);
    }
    let id = caller.subject.as_deref().and_then(fields::user_id);
    store::merge_profile(admin, id.ok_or(Failure::UserNotFound)?, changes)
        .await?
        .ok_or(Failure::UserNotFound)
}

/// Deletes accounts and says how many there were. Their sessions end; access tokens live on until
/// they expire.
pub(super) async fn delete(
    app: &App,
    project: &Project,
    pools: &Connections,
    caller: &Identity,
    client: Option<IpAddr>,
    ids: &[Uuid],
) -> Result<usize, Failure> {
    let deleted = store::delete(&pools.admin, ids).await?;
    app.invalidate(&project.id, Invalidation::Sessions).await;
    app.end_sockets(&project.id, ids).await;
    app.announce(&project.id, DashboardEvent::of(Resource::Users))
        .await;
    // By another login role, hence not in one transaction with the deletion.
    let entry = audit::Entry {
        actor: caller.actor(),
        action: "DELETE_USERS",
        module: "AUTH",
        details: json!({ "userIds": ids, "deletedCount": deleted }),
        client,
    };
    audit::record(&pools.service, entry).await?;
    Ok(deleted)
}

/// One page of users and how many there are.
pub(super) async fn page(
    pool: &PgPool,
    search: Option<&str>,
    limit: i64,
    offset: i64,
) -> Result<(Vec<User>, i64), Failure> {
    Ok(store::page(pool, search, limit, offset).await?)
}
