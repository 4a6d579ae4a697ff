//! Signed tokens: what each contains, how it is signed, and how it is read back (contract, auth §2).
//!
//! An algorithm belongs to a key: RS256 only with the project's RSA key and only under its `kid`,
//! HS256 only with `JWT_SECRET`. Times are exact: there is no clock tolerance.

use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use ingot_project::Project;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use rand::RngCore;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use uuid::Uuid;

use crate::{AuthError, Credential, Identity, Role, SigningKey};

/// Life of an access token.
pub(crate) const ACCESS_LIFETIME: Duration = Duration::from_mins(15);
/// Life of a refresh token.
pub const REFRESH_LIFETIME: Duration = Duration::from_hours(7 * 24);
/// Life of a token for PostgREST.
const POSTGREST_LIFETIME: Duration = Duration::from_mins(5);
/// Longest token that is looked at; header limits are of the same size.
pub(crate) const MAX_TOKEN_BYTES: usize = 16 * 1024;
/// `type` of the tokens that a control plane gives to administrators.
pub(crate) const CLOUD_TYPE: &str = "project_authorization";
/// `type` of refresh tokens.
const REFRESH_TYPE: &str = "refresh";
/// `iss` of refresh tokens. Clients of InsForge hold such tokens, so the name stays.
const REFRESH_ISSUER: &str = "insforge";

/// Whose access token it is.
#[derive(Debug, Clone, Copy)]
pub struct AccessClaims<'a> {
    /// User id, or `local:<name>` of an administrator.
    pub subject: &'a str,
    /// The user's address; administrators have none.
    pub email: Option<&'a str>,
    /// Role of the caller.
    pub role: &'a Role,
}

/// Kind of a session; tokens of one kind never serve the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SessionType {
    /// A user of the project's app.
    User,
    /// The administrator in the dashboard.
    Admin,
}

impl SessionType {
    /// The name in claims and in `auth.sessions`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Admin => "admin",
        }
    }
}

/// Where a refresh token was handed out. A browser's cookie is out of reach of its scripts and
/// guarded by the CSRF value; the same token in a request body would get around both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// In an `HttpOnly` cookie.
    Cookie,
    /// In the body of an answer.
    Body,
}

/// Content of a refresh token. Beyond the contract's claims it names its session and itself, so
/// that it can be rotated and revoked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefreshClaims {
    /// User id or `local:<name>`.
    pub sub: String,
    /// Part of the session's CSRF value; constant for the session.
    #[serde(rename = "csrfNonce")]
    pub csrf_nonce: String,
    /// Kind of session.
    #[serde(rename = "sessionType")]
    pub session_type: SessionType,
    /// Where it was handed out, which is the only place that it is taken from.
    pub transport: Transport,
    /// The session.
    pub sid: Uuid,
    /// This token among the session's tokens.
    pub jti: Uuid,
    /// Issued at, in seconds since 1970.
    pub iat: u64,
    /// Ends at, in seconds since 1970.
    pub exp: u64,
}

/// Claims of an access token as they arrive. Third parties sign these, so nothing is certain.
#[derive(Debug, Deserialize)]
pub(crate) struct ForeignClaims {
    #[serde(default)]
    sub: Value,
    #[serde(default)]
    email: Value,
    #[serde(default)]
    role: Value,
    #[serde(default, rename = "type")]
    kind: Value,
    exp: Option<f64>,
    nbf: Option<f64>,
}

/// Signs an access token with the project's RSA key.
pub(crate) fn sign_access_token(
    key: &SigningKey,
    claims: AccessClaims<'_>,
) -> jsonwebtoken::errors::Result<String> {
    let now = now();
    let mut body = Map::new();
    body.insert("sub".into(), json!(claims.subject));
    body.extend(claims.email.map(|email| ("email".into(), json!(email))));
    body.insert("role".into(), json!(claims.role.as_str()));
    body.insert("iat".into(), json!(now));
    body.insert("exp".into(), json!(now + ACCESS_LIFETIME.as_secs()));
    let mut header = Header::new(Algorithm::RS256);
    header.kid = Some(key.id().to_owned());
    jsonwebtoken::encode(&header, &body, key.signer())
}

/// The `kid` of a token that claims RS256; every other token is HS256 or nothing.
pub(crate) fn key_id(token: &str) -> Option<String> {
    if token.len() > MAX_TOKEN_BYTES {
        return None;
    }
    let header = jsonwebtoken::decode_header(token).ok()?;
    header.kid.filter(|_| header.alg == Algorithm::RS256)
}

/// Whether a token says that a cloud control plane made it. Not verified: it only decides who
/// would have to verify it (contract, platform §4.3).
pub(crate) fn claims_to_be_cloud(token: &str) -> bool {
    token.len() <= MAX_TOKEN_BYTES
        && jsonwebtoken::dangerous::insecure_decode_claims::<ForeignClaims>(token)
            .is_ok_and(|claims| claims.kind == CLOUD_TYPE)
}

/// What an access token says that was signed with the RSA key. Costly: see
/// [`crate::verified::VerifiedTokens`].
pub(crate) fn verify_rsa_token(token: &str, key: &SigningKey) -> Result<ForeignClaims, AuthError> {
    read(token, key.verifier(), Algorithm::RS256)
}

/// Reads an access token that was signed with `JWT_SECRET`. An administrator's counts only where
/// the project says so.
pub(crate) fn read_shared_secret_token(
    token: &str,
    project: &Project,
) -> Result<Identity, AuthError> {
    let claims = read(token, &shared_verifier(project), Algorithm::HS256)?;
    let identity = identity_of(&claims)?;
    if identity.is_admin() && !project.third_party_admins {
        return Err(AuthError::InvalidToken);
    }
    Ok(identity)
}

/// Who the bearer of a token is, if it may be used now.
pub(crate) fn identity_of(claims: &ForeignClaims) -> Result<Identity, AuthError> {
    // A refresh token is signed with the same secret; it opens nothing but `/refresh`.
    if claims.kind == REFRESH_TYPE {
        return Err(AuthError::InvalidToken);
    }
    let now = seconds(now());
    if claims.exp.is_some_and(|exp| exp <= now) || claims.nbf.is_some_and(|nbf| nbf > now) {
        return Err(AuthError::InvalidToken);
    }
    let role = match &claims.role {
        Value::Null => Some(Role::Authenticated),
        Value::String(role) => Role::from_claim(role),
        _ => None,
    };
    let role = role.ok_or(AuthError::InvalidToken)?;
    let subject = claims
        .sub
        .as_str()
        .filter(|subject| !subject.is_empty())
        .ok_or(AuthError::MissingSubject)?;
    Ok(Identity {
        role,
        subject: Some(subject.to_owned()),
        email: claims.email.as_str().map(str::to_owned),
        credential: Credential::Token,
        expires_at: claims.exp.map(whole_seconds),
    })
}

/// Signs a refresh token.
pub fn sign_refresh_token(
    project: &Project,
    claims: &RefreshClaims,
) -> jsonwebtoken::errors::Result<String> {
    #[derive(Serialize)]
    struct Body<'a> {
        #[serde(rename = "type")]
        kind: &'static str,
        iss: &'static str,
        #[serde(flatten)]
        claims: &'a RefreshClaims,
    }
    let body = Body {
        kind: REFRESH_TYPE,
        iss: REFRESH_ISSUER,
        claims,
    };
    jsonwebtoken::encode(
        &Header::new(Algorithm::HS256),
        &body,
        &shared_signer(project),
    )
}

/// Reads a refresh token of one kind of session. Whether it was revoked or used before is the
/// session's business.
pub fn read_refresh_token(
    project: &Project,
    token: &str,
    session_type: SessionType,
) -> Option<RefreshClaims> {
    #[derive(Deserialize)]
    struct Body {
        #[serde(rename = "type")]
        kind: String,
        iss: String,
        #[serde(flatten)]
        claims: RefreshClaims,
    }
    let body: Body = read(token, &shared_verifier(project), Algorithm::HS256).ok()?;
    let valid = body.kind == REFRESH_TYPE
        && body.iss == REFRESH_ISSUER
        && body.claims.session_type == session_type
        && !body.claims.csrf_nonce.is_empty()
        && body.claims.exp > now();
    valid.then_some(body.claims)
}

/// A nonce for a new session: 256 random bits.
pub fn new_csrf_nonce() -> String {
    let mut bytes = [0_u8; 32];
    rand::rng().fill_bytes(&mut bytes);
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The value that a browser must send as `X-CSRF-Token` (contract, auth §2.1).
pub fn csrf_value(project: &Project, claims: &RefreshClaims) -> String {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(project.jwt_secret.expose().as_bytes()) else {
        unreachable!("HMAC-SHA-256 accepts keys of every length")
    };
    let RefreshClaims {
        sub, csrf_nonce, ..
    } = claims;
    let kind = claims.session_type.as_str();
    mac.update(format!("insforge:csrf:v1:{kind}:{sub}:{csrf_nonce}").as_bytes());
    hex::encode(mac.finalize().into_bytes())
}

/// Whether `given` is the session's CSRF value, compared in constant time.
pub fn csrf_matches(project: &Project, claims: &RefreshClaims, given: Option<&str>) -> bool {
    let wanted = csrf_value(project, claims);
    given.is_some_and(|given| given.as_bytes().ct_eq(wanted.as_bytes()).into())
}

/// A token for a PostgREST beside us (contract, auth §2.1): administrators and anonymous callers
/// are only their role there.
pub fn postgrest_token(
    project: &Project,
    identity: &Identity,
) -> jsonwebtoken::errors::Result<String> {
    let now = now();
    let mut body = Map::new();
    body.insert("role".into(), json!(identity.role.as_str()));
    body.insert("iat".into(), json!(now));
    if !matches!(identity.role, Role::Anon | Role::ProjectAdmin) {
        body.extend(
            identity
                .subject
                .iter()
                .map(|sub| ("sub".into(), json!(sub))),
        );
        body.extend(
            identity
                .email
                .iter()
                .map(|mail| ("email".into(), json!(mail))),
        );
    }
    body.insert("exp".into(), json!(now + POSTGREST_LIFETIME.as_secs()));
    jsonwebtoken::encode(
        &Header::new(Algorithm::HS256),
        &body,
        &shared_signer(project),
    )
}

fn shared_signer(project: &Project) -> EncodingKey {
    EncodingKey::from_secret(project.jwt_secret.expose().as_bytes())
}

fn shared_verifier(project: &Project) -> DecodingKey {
    DecodingKey::from_secret(project.jwt_secret.expose().as_bytes())
}

/// Checks form, algorithm and signature, nothing else.
fn read<T: DeserializeOwned>(
    token: &str,
    key: &DecodingKey,
    algorithm: Algorithm,
) -> Result<T, AuthError> {
    if token.len() > MAX_TOKEN_BYTES {
        return Err(AuthError::InvalidToken);
    }
    let mut validation = Validation::new(algorithm);
    // Times are checked by the callers, exactly; the library would be lenient by a second.
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_aud = false;
    validation.leeway = 0;
    jsonwebtoken::decode(token, key, &validation)
        .map(|data| data.claims)
        .map_err(|_| AuthError::InvalidToken)
}

/// Seconds since 1970.
pub(crate) fn now() -> u64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |elapsed| elapsed.as_secs())
}

#[allow(
    clippy::cast_precision_loss,
    reason = "seconds since 1970 are exact in a double for 285 million years"
)]
fn seconds(whole: u64) -> f64 {
    whole as f64
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the cast saturates, and an end before 1970 was refused before"
)]
fn whole_seconds(time: f64) -> u64 {
    time as u64
}

#[cfg(test)]
#[path = "tokens_tests.rs"]
pub(crate) mod tests;
