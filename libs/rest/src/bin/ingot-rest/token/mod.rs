//! Who asks, by the token that a request carries.
//!
//! Chapter "Authentication" of PostgREST 12's reference: one secret, a JSON web key or a set of
//! them; times with 30 seconds of grace; an audience; the role at a path of the claims.

mod keys;
mod path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ingot_rest::RestError;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::Value;
use std::time::{SystemTime, UNIX_EPOCH};

use keys::Key;
use path::Path;

/// Difference of clocks that is put up with, in seconds.
const GRACE: f64 = 30.0;

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
    /// The claims as JSON.
    pub(crate) claims: String,
    /// The role comes from a token.
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
            None => "{}".to_owned(),
        };
        let mut parsed: Value = serde_json::from_str(&claims).unwrap_or_default();
        if let Some(role) = self.role.find(&parsed) {
            return Ok(Caller {
                authenticated: anonymous != Some(role.as_str()),
                role,
                claims,
            });
        }
        let role = anonymous.ok_or_else(RestError::anonymous_disabled)?;
        if let Some(claims) = parsed.as_object_mut() {
            claims.insert("role".to_owned(), role.into());
        }
        Ok(Caller {
            role: role.to_owned(),
            claims: parsed.to_string(),
            authenticated: false,
        })
    }

    /// The claims of a good token, as they were written.
    fn verify(&self, token: &str) -> Result<String, RestError> {
        let keys = self.keys.as_ref().ok_or_else(RestError::no_jwt_secret)?;
        let parts = token.split('.').count();
        if parts != 3 {
            return Err(RestError::invalid_token(&format!(
                "JWSError (CompactDecodeError Invalid number of parts: Expected 3 parts; got \
                 {parts})"
            )));
        }
        let unreadable = || RestError::invalid_token("JWSError (JSONDecodeError \"Invalid JWT\")");
        let header = jsonwebtoken::decode_header(token).map_err(|_| unreadable())?;
        let named = |key: &&Key| header.kid.is_some() && key.id == header.kid;
        let mut candidates: Vec<&Key> = keys.iter().filter(named).collect();
        if candidates.is_empty() {
            candidates = keys.iter().collect();
        }
        let good = candidates.iter().any(|key| key.signed(token, header.alg));
        if !good {
            return Err(RestError::invalid_token("JWSError JWSInvalidSignature"));
        }
        let payload = token.split('.').nth(1).unwrap_or_default();
        let payload = URL_SAFE_NO_PAD.decode(payload).map_err(|_| unreadable())?;
        let text = String::from_utf8(payload).map_err(|_| unreadable())?;
        let claims = serde_json::from_str(&text).map_err(|_| unreadable())?;
        self.check(&claims).map_err(RestError::invalid_token)?;
        Ok(text)
    }

    fn check(&self, claims: &Value) -> Result<(), &'static str> {
        if !claims.is_object() {
            return Err("The JWT claims set is not an object");
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.map_or(0.0, |since| since.as_secs_f64());
        let time = |name: &str| match claims.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => value.as_f64().map(Some).ok_or("JWTClaimsSetDecodeError"),
        };
        if time("exp")?.is_some_and(|end| end + GRACE <= now) {
            return Err("JWT expired");
        }
        if time("nbf")?.is_some_and(|start| start - GRACE > now) {
            return Err("JWTNotYetValid");
        }
        if time("iat")?.is_some_and(|issued| issued - GRACE > now) {
            return Err("JWTIssuedAtFuture");
        }
        match (&self.audience, claims.get("aud")) {
            (Some(audience), Some(named)) if !is_for(audience, named) => Err("JWTNotInAudience"),
            _ => Ok(()),
        }
    }
}

/// `Bearer <token>`, however it is capitalised. An empty token is none.
fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

fn is_for(audience: &str, named: &Value) -> bool {
    match named {
        Value::Null => true,
        Value::String(named) => named == audience,
        Value::Array(named) => named.is_empty() || named.iter().any(|n| n == audience),
        _ => false,
    }
}

/// The signature of a token is good, whatever its claims say.
fn signed(token: &str, key: &DecodingKey, algorithm: Algorithm) -> bool {
    let mut validation = Validation::new(algorithm);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation.validate_aud = false;
    jsonwebtoken::decode::<Value>(token, key, &validation).is_ok()
}

#[cfg(test)]
mod tests;
