//! Who asks, by the token that a request carries.
//!
//! Chapter "Authentication" of PostgREST 12's reference: one secret, a JSON web key or a set of
//! them; times with 30 seconds of grace; an audience; the role at a path of the claims.

mod claims;
mod keys;
mod path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ingot_rest::RestError;
use jsonwebtoken::{Algorithm, DecodingKey};
use serde_json::{Map, Value};

use claims::Claims;
use keys::Key;
use path::Path;

/// Verifies tokens.
pub(crate) struct Verifier {
    /// None: tokens cannot be verified.
    keys: Option<Vec<Key>>,
    audience: Option<String>,
    role: Path,
}

/// Whose request it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Caller {
    pub(crate) role: String,
    /// The claims as JSON, with the role among them and sorted by name.
    pub(crate) claims: String,
    /// The role is not the anonymous one.
    pub(crate) authenticated: bool,
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Verifier")
    }
}

impl Verifier {
    pub(crate) fn new(
        secret: Option<&str>,
        is_base64: bool,
        audience: Option<String>,
        role: &str,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            keys: secret
                .map(|secret| keys::read(secret, is_base64))
                .transpose()?,
            audience,
            role: Path::parse(role)?,
        })
    }

    /// The caller of a request with this `Authorization` header. `anonymous` is the role of those
    /// who have none of their own.
    pub(crate) fn caller(
        &self,
        authorization: Option<&str>,
        anonymous: Option<&str>,
    ) -> Result<Caller, RestError> {
        let claims = match authorization.and_then(bearer) {
            Some(token) => self.verify(token)?,
            None => Claims::new(),
        };
        let mut claims = Value::Object(claims);
        let named = self.role.find(&claims).map(|role| match role {
            Value::String(role) => role,
            other => other.to_string(),
        });
        let role = named.or_else(|| anonymous.map(str::to_owned));
        let role = role.ok_or_else(RestError::anonymous_disabled)?;
        // Wherever the token has its role, the database finds it here.
        if let Some(claims) = claims.as_object_mut() {
            claims.insert("role".to_owned(), role.clone().into());
        }
        claims.sort_all_objects();
        Ok(Caller {
            authenticated: anonymous != Some(role.as_str()),
            role,
            claims: claims.to_string(),
        })
    }

    /// The claims of a good token.
    fn verify(&self, token: &str) -> Result<Claims, RestError> {
        let keys = self.keys.as_ref().ok_or_else(RestError::no_jwt_secret)?;
        let refused = |reason: &str| RestError::invalid_token(&format!("JWSError {reason}"));
        let unreadable = |what: &str| refused(&format!("(JSONDecodeError {what:?})"));
        let parts: Vec<&str> = token.split('.').collect();
        let [header, payload, signature] = parts.as_slice() else {
            return Err(refused(&format!(
                "(CompactDecodeError Invalid number of parts: Expected 3 parts; got {})",
                parts.len()
            )));
        };
        let decoded = |part: &&str| {
            let bytes = URL_SAFE_NO_PAD.decode(part);
            bytes.map_err(|_| unreadable("Not valid base64url"))
        };
        let payload = decoded(payload)?;
        let header: Map<String, Value> = serde_json::from_slice(&decoded(header)?)
            .map_err(|_| unreadable("protected header contains invalid JSON"))?;
        decoded(signature)?;
        if header
            .get("alg")
            .is_some_and(|algorithm| algorithm == "none")
        {
            return Err(refused("JWSNoSignatures"));
        }
        let header = jsonwebtoken::decode_header(token)
            .map_err(|_| unreadable("protected header is not supported"))?;
        let named = |key: &&Key| header.kid.is_some() && key.id == header.kid;
        let mut candidates: Vec<&Key> = keys.iter().filter(named).collect();
        if candidates.is_empty() {
            candidates = keys.iter().collect();
        }
        if !candidates.iter().any(|key| key.signed(token, header.alg)) {
            return Err(refused("JWSInvalidSignature"));
        }
        let claims = claims::read(&payload).map_err(|fault| RestError::invalid_token(&fault))?;
        claims::hold(&claims, self.audience.as_deref()).map_err(RestError::invalid_token)?;
        Ok(claims)
    }
}

/// `Bearer <token>`, however it is capitalised. An empty token is none.
fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

/// The signature of a token is good, whatever its claims say.
fn signed(token: &str, key: &DecodingKey, algorithm: Algorithm) -> bool {
    let signature = token.rsplit_once('.');
    signature.is_some_and(|(message, signature)| {
        jsonwebtoken::crypto::verify(signature, message.as_bytes(), key, algorithm).unwrap_or(false)
    })
}

#[cfg(test)]
mod tests;
