//! The rules of sessions.

use std::net::IpAddr;

use ingot_identity::{
    AccessClaims, REFRESH_LIFETIME, RefreshClaims, Role, SessionType, Transport, csrf_matches,
    csrf_value, new_csrf_nonce, read_refresh_token, sign_refresh_token,
};
use ingot_project::Project;
use sqlx::PgPool;
use time::OffsetDateTime;
use uuid::Uuid;

use super::store;
use crate::app::App;
use crate::auth::accounts::{self, SignedIn, User};
use crate::auth::attempts::Budget;
use crate::auth::config;
use crate::auth::failure::Failure;
use crate::auth::fields;

/// For how many seconds a former refresh token is answered with the live one: tabs and SDK
/// instances refresh at the same moment, and an answer may get lost on its way.
const GRACE: f64 = 60.0;

/// What a client gets to stay signed in.
#[derive(Debug)]
pub(in crate::auth) struct Tokens {
    pub(in crate::auth) access: String,
    pub(in crate::auth) refresh: String,
    pub(in crate::auth) csrf: String,
    pub(in crate::auth) transport: Transport,
}

/// Whose session it is.
#[derive(Debug)]
pub(in crate::auth) struct Holder {
    /// `sub` of the tokens.
    pub(in crate::auth) subject: String,
    /// Administrators have no account.
    pub(in crate::auth) user_id: Option<Uuid>,
    pub(in crate::auth) session_type: SessionType,
}

/// Opens a session of a user.
pub(in crate::auth) async fn open(
    app: &App,
    project: &Project,
    pool: &PgPool,
    user: &User,
    transport: Transport,
) -> Result<Tokens, Failure> {
    let holder = Holder {
        subject: user.id.to_string(),
        user_id: Some(user.id),
        session_type: SessionType::User,
    };
    let access = access_token(app, project, user).await?;
    open_for(project, pool, holder, transport, access).await
}

/// Opens a session of anybody, with an access token that is signed already.
pub(in crate::auth) async fn open_for(
    project: &Project,
    pool: &PgPool,
    holder: Holder,
    transport: Transport,
    access: String,
) -> Result<Tokens, Failure> {
    let (issued, expires) = lifetime();
    let first = RefreshClaims {
        sub: holder.subject,
        csrf_nonce: new_csrf_nonce(),
        session_type: holder.session_type,
        transport,
        sid: Uuid::new_v4(),
        jti: Uuid::new_v4(),
        iat: issued,
        exp: expires,
    };
    store::insert(pool, holder.user_id, &first).await?;
    tokens(project, &first, access)
}

/// Signs what belongs to `claims`.
pub(in crate::auth) fn tokens(
    project: &Project,
    claims: &RefreshClaims,
    access: String,
) -> Result<Tokens, Failure> {
    Ok(Tokens {
        access,
        refresh: sign_refresh_token(project, claims)?,
        csrf: csrf_value(project, claims),
        transport: claims.transport,
    })
}

/// Signs an access token of a user.
pub(in crate::auth) async fn access_token(
    app: &App,
    project: &Project,
    user: &User,
) -> Result<String, Failure> {
    let claims = AccessClaims {
        subject: &user.id.to_string(),
        email: Some(&user.email),
        role: &Role::Authenticated,
    };
    Ok(app.identity.sign_access_token(project, claims).await?)
}

/// Signs in with a password. The budget goes into the answer whatever comes of it.
pub(super) async fn sign_in(
    app: &App,
    project: &Project,
    pool: &PgPool,
    client: Option<IpAddr>,
    email: &str,
    password: String,
    transport: Transport,
) -> (Option<Budget>, Result<SignedIn, Failure>) {
    let attempt = match app.auth.attempts.begin(&project.id, client, email).await {
        Ok(attempt) => attempt,
        Err(refused) => return refused.into(),
    };
    let result = check_and_open(app, project, pool, email, password, transport).await;
    let guessed = matches!(result, Err(Failure::WrongCredentials));
    (Some(attempt.settle(guessed)), result)
}

async fn check_and_open(
    app: &App,
    project: &Project,
    pool: &PgPool,
    email: &str,
    password: String,
    transport: Transport,
) -> Result<SignedIn, Failure> {
    let known = accounts::credentials(pool, email).await?;
    let (id, verified, hash) = known.map_or((None, false, None), |known| {
        (Some(known.id), known.email_verified, known.password)
    });
    let right = app.auth.passwords.verify(password, hash).await?;
    let (true, Some(id)) = (right, id) else {
        return Err(Failure::WrongCredentials);
    };
    if !verified && config::current(pool).await?.require_email_verification {
        return Err(Failure::EmailNotVerified);
    }
    let user = accounts::by_id(pool, id)
        .await?
        .ok_or(Failure::WrongCredentials)?;
    let tokens = open(app, project, pool, &user, transport).await?;
    Ok(SignedIn { user, tokens })
}

/// A refresh token as it came, with the CSRF value if it came in a cookie.
#[derive(Debug, Clone, Copy)]
pub(in crate::auth) struct Presented<'a> {
    pub(in crate::auth) token: &'a str,
    pub(in crate::auth) transport: Transport,
    pub(in crate::auth) csrf: Option<&'a str>,
}

impl Presented<'_> {
    /// Reads the token: of the right kind, from where it belongs, and meant by the app itself.
    pub(in crate::auth) fn read(
        self,
        project: &Project,
        session_type: SessionType,
    ) -> Result<RefreshClaims, Failure> {
        let claims = read_refresh_token(project, self.token, session_type)
            .filter(|claims| claims.transport == self.transport)
            .ok_or(Failure::SessionEnded)?;
        let forged =
            self.transport == Transport::Cookie && !csrf_matches(project, &claims, self.csrf);
        if forged {
            Err(Failure::Csrf)
        } else {
            Ok(claims)
        }
    }
}

/// Keeps a user signed in.
pub(super) async fn refresh(
    app: &App,
    project: &Project,
    pool: &PgPool,
    presented: Presented<'_>,
) -> Result<SignedIn, Failure> {
    let claims = presented.read(project, SessionType::User)?;
    let next = rotate(pool, &claims).await?;
    let id = fields::user_id(&next.sub).ok_or(Failure::SessionEnded)?;
    let user = accounts::by_id(pool, id)
        .await?
        .ok_or(Failure::SessionEnded)?;
    let access = access_token(app, project, &user).await?;
    let tokens = tokens(project, &next, access)?;
    Ok(SignedIn { user, tokens })
}

/// The claims that follow `claims` in their session. The same token presented again within
/// [`GRACE`] gets the same answer, on every replica; later it ends the session.
pub(in crate::auth) async fn rotate(
    pool: &PgPool,
    claims: &RefreshClaims,
) -> Result<RefreshClaims, Failure> {
    let mut transaction = pool.begin().await?;
    if !store::lock(&mut transaction, claims).await? {
        return Err(Failure::SessionEnded);
    }
    let token = store::token(&mut transaction, claims)
        .await?
        .ok_or(Failure::SessionEnded)?;
    let next = match token.seconds_since_use {
        None => {
            let (issued, expires) = lifetime();
            let next = RefreshClaims {
                jti: Uuid::new_v4(),
                iat: issued,
                exp: expires,
                ..claims.clone()
            };
            store::replace(&mut transaction, claims, &next).await?;
            next
        }
        Some(ago) if ago <= GRACE => {
            let live = store::live_token(&mut transaction, claims.sid)
                .await?
                .ok_or(Failure::SessionEnded)?;
            RefreshClaims {
                jti: live.id,
                iat: seconds(live.issued_at),
                exp: seconds(live.expires_at),
                ..claims.clone()
            }
        }
        Some(_) => {
            store::revoke(&mut *transaction, claims.sid, claims.session_type).await?;
            transaction.commit().await?;
            tracing::warn!(session = %claims.sid, "a former refresh token came back: session ended");
            return Err(Failure::SessionEnded);
        }
    };
    transaction.commit().await?;
    Ok(next)
}

/// Ends the session of a token that was read already.
pub(in crate::auth) async fn end(pool: &PgPool, claims: &RefreshClaims) -> Result<(), Failure> {
    Ok(store::revoke(pool, claims.sid, claims.session_type).await?)
}

fn lifetime() -> (u64, u64) {
    let now = seconds(OffsetDateTime::now_utc());
    (now, now + REFRESH_LIFETIME.as_secs())
}

fn seconds(time: OffsetDateTime) -> u64 {
    u64::try_from(time.unix_timestamp()).unwrap_or_default()
}
