//! The rules of the administrator's session.

use std::net::IpAddr;

use ingot_identity::{AccessClaims, Identity, Role, SessionType, Transport};
use ingot_project::Project;
use sqlx::PgPool;

use crate::app::App;
use crate::auth::attempts::Budget;
use crate::auth::failure::Failure;
use crate::auth::sessions::{self, Holder, Presented, Tokens};

/// Name under which failed sign-ins are counted, apart from users' addresses.
const ATTEMPTS_ON: &str = "administrator";

/// Signs in. The budget goes into the answer whatever comes of it.
pub(super) async fn sign_in(
    app: &App,
    project: &Project,
    pool: &PgPool,
    client: Option<IpAddr>,
    username: &str,
    password: &str,
) -> (Option<Budget>, Result<Tokens, Failure>) {
    let attempt = match app
        .auth
        .attempts
        .begin(&project.id, client, ATTEMPTS_ON)
        .await
    {
        Ok(attempt) => attempt,
        Err(refused) => return refused.into(),
    };
    let right = app.auth.admin.matches(username, password);
    let budget = attempt.settle(!right);
    let result = if right {
        open(app, project, pool).await
    } else {
        Err(Failure::WrongCredentials)
    };
    (Some(budget), result)
}

async fn open(app: &App, project: &Project, pool: &PgPool) -> Result<Tokens, Failure> {
    let holder = Holder {
        subject: app.auth.admin.subject(),
        user_id: None,
        session_type: SessionType::Admin,
    };
    let access = access_token(app, project).await?;
    sessions::open_for(project, pool, holder, Transport::Cookie, access).await
}

/// Keeps the administrator signed in, as long as he is still the configured one.
pub(super) async fn refresh(
    app: &App,
    project: &Project,
    pool: &PgPool,
    presented: Presented<'_>,
) -> Result<Tokens, Failure> {
    let claims = presented.read(project, SessionType::Admin)?;
    if claims.sub != app.auth.admin.subject() {
        return Err(Failure::SessionEnded);
    }
    let next = sessions::rotate(pool, &claims).await?;
    let access = access_token(app, project).await?;
    sessions::tokens(project, &next, access)
}

/// `sub` of a signed-in administrator.
pub(super) fn current(caller: Identity) -> Result<String, Failure> {
    if caller.is_admin() {
        caller.subject.ok_or(Failure::NotAnAdministrator)
    } else {
        Err(Failure::NotAnAdministrator)
    }
}

async fn access_token(app: &App, project: &Project) -> Result<String, Failure> {
    let claims = AccessClaims {
        subject: &app.auth.admin.subject(),
        email: None,
        role: &Role::ProjectAdmin,
    };
    Ok(app.identity.sign_access_token(project, claims).await?)
}
