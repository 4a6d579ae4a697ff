//! The rules of the administrator's session.

use std::net::IpAddr;

use ingot_identity::{
    AccessClaims, AuthError, Identity, Role, SessionType, Transport, is_cloud_subject,
};
use ingot_project::Project;
use sqlx::PgPool;

use crate::app::App;
use crate::auth::attempts::Budget;
use crate::auth::failure::Failure;
use crate::auth::sessions::{self, Holder, Presented, Tokens};

/// Name under which failed sign-ins are counted, apart from users' addresses.
const ATTEMPTS_ON: &str = "administrator";

/// An administrator's session, opened or kept.
pub(super) struct Session {
    /// `sub` of its tokens.
    pub(super) subject: String,
    pub(super) tokens: Tokens,
}

/// Signs in. The budget goes into the answer whatever comes of it.
pub(super) async fn sign_in(
    app: &App,
    project: &Project,
    pool: &PgPool,
    client: Option<IpAddr>,
    username: &str,
    password: &str,
) -> (Option<Budget>, Result<Session, Failure>) {
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
        open(app, project, pool, app.auth.admin.subject()).await
    } else {
        Err(Failure::WrongCredentials)
    };
    (Some(budget), result)
}

/// Signs in whom the control plane calls an administrator of this project.
pub(super) async fn exchange(
    app: &App,
    project: &Project,
    pool: &PgPool,
    code: &str,
) -> Result<Session, Failure> {
    let caller = app.identity.verify_cloud_token(project, code).await?;
    let subject = caller.subject.ok_or(AuthError::CloudToken)?;
    open(app, project, pool, subject).await
}

async fn open(
    app: &App,
    project: &Project,
    pool: &PgPool,
    subject: String,
) -> Result<Session, Failure> {
    let holder = Holder {
        subject: subject.clone(),
        user_id: None,
        session_type: SessionType::Admin,
    };
    let access = access_token(app, project, &subject).await?;
    let tokens = sessions::open_for(project, pool, holder, Transport::Cookie, access).await?;
    Ok(Session { subject, tokens })
}

/// Keeps an administrator signed in, as long as he is still the configured one, or the project is
/// still bound to the control plane that he came from.
pub(super) async fn refresh(
    app: &App,
    project: &Project,
    pool: &PgPool,
    presented: Presented<'_>,
) -> Result<Session, Failure> {
    let claims = presented.read(project, SessionType::Admin)?;
    let still_here = if is_cloud_subject(&claims.sub) {
        project.cloud_project.is_some()
    } else {
        claims.sub == app.auth.admin.subject()
    };
    if !still_here {
        return Err(Failure::SessionEnded);
    }
    let next = sessions::rotate(pool, &claims).await?;
    let access = access_token(app, project, &claims.sub).await?;
    let tokens = sessions::tokens(project, &next, access)?;
    Ok(Session {
        subject: claims.sub,
        tokens,
    })
}

/// `sub` of a signed-in administrator.
pub(super) fn current(caller: Identity) -> Result<String, Failure> {
    if caller.is_admin() {
        caller.subject.ok_or(Failure::NotAnAdministrator)
    } else {
        Err(Failure::NotAnAdministrator)
    }
}

async fn access_token(app: &App, project: &Project, subject: &str) -> Result<String, Failure> {
    let claims = AccessClaims {
        subject,
        email: None,
        role: &Role::ProjectAdmin,
    };
    Ok(app.identity.sign_access_token(project, claims).await?)
}
