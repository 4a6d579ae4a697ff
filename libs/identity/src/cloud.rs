//! Tokens of a cloud control plane (contract, auth §2.6): whoever the control plane says
//! administers a project is its administrator here.
//!
//! Such a token is checked with the control plane's published keys and binds to one project by its
//! `PROJECT_ID`. Without that setting nothing is fetched and no such token is believed.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use ingot_project::Project;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet, KeyAlgorithm};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use moka::future::Cache;
use reqwest::redirect;
use serde::Deserialize;
use url::Url;

use crate::tokens::{CLOUD_TYPE, MAX_TOKEN_BYTES, now};
use crate::{AuthError, Credential, Identity, Role};

/// How long the control plane may take to answer.
const FETCH_TIMEOUT: Duration = Duration::from_secs(10);
/// How long its keys are believed without another look.
const KEYS_LIFETIME: Duration = Duration::from_mins(10);
/// Pause between two looks, whether the first failed or did not have the wanted key.
const COOLDOWN: Duration = Duration::from_secs(30);
/// Longest key set that is read.
const MAX_KEY_SET_BYTES: usize = 256 * 1024;
/// Prefix of the subject of the control plane's users.
const SUBJECT_PREFIX: &str = "cloud:";

ingot_config::settings! {
    /// Which control plane projects may be bound to.
    pub struct CloudSettings {
        /// Control plane that signs tokens for the administrators of projects with a `PROJECT_ID`;
        /// its keys are read from `/.well-known/jwks.json` there.
        host: Url = "CLOUD_API_HOST", default "https://api.insforge.dev";
    }
}

/// The control plane's keys; clones share them.
#[derive(Debug, Clone)]
pub(crate) struct CloudKeys {
    address: Url,
    client: reqwest::Client,
    /// One entry at most. A failure is remembered, too, for as long as the cooldown.
    fetched: Cache<(), Arc<Fetched>>,
}

#[derive(Debug)]
struct Fetched {
    keys: Result<HashMap<String, Key>, String>,
    at: Instant,
}

/// A public key and what it may have signed with; never chosen by the token.
struct Key {
    verifier: DecodingKey,
    algorithms: Vec<Algorithm>,
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Key")
            .field("algorithms", &self.algorithms)
            .finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct Claims {
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default, rename = "projectId")]
    project_id: Option<String>,
    #[serde(default, rename = "userId")]
    user_id: String,
    exp: Option<u64>,
    nbf: Option<u64>,
}

impl CloudKeys {
    /// The keys of the control plane at `settings`. Nothing is fetched before it is needed.
    ///
    /// # Errors
    /// The HTTP client cannot be made.
    pub(crate) fn new(settings: &CloudSettings) -> Result<Self, reqwest::Error> {
        let mut address = settings.host.clone();
        address.set_path("/.well-known/jwks.json");
        Ok(Self {
            address,
            client: reqwest::Client::builder()
                .timeout(FETCH_TIMEOUT)
                .redirect(redirect::Policy::none())
                .build()?,
            fetched: Cache::builder()
                .max_capacity(1)
                .time_to_live(KEYS_LIFETIME)
                .build(),
        })
    }

    /// The administrator whom a project-authorization token names.
    pub(crate) async fn verify(
        &self,
        project: &Project,
        token: &str,
    ) -> Result<Identity, AuthError> {
        let bound_to = project
            .cloud_project
            .as_deref()
            .ok_or(AuthError::CloudUnbound)?;
        if token.len() > MAX_TOKEN_BYTES {
            return Err(AuthError::CloudToken);
        }
        let header = jsonwebtoken::decode_header(token).map_err(|_| AuthError::CloudToken)?;
        let id = header.kid.unwrap_or_default();
        let fetched = self.with_key(&id).await;
        let keys = fetched
            .keys
            .as_ref()
            .map_err(|cause| AuthError::Unavailable(cause.clone()))?;
        let key = keys.get(&id).ok_or(AuthError::CloudToken)?;
        let claims = key.read(token).ok_or(AuthError::CloudToken)?;
        administrator(&claims, bound_to)
    }

    /// The key set, fetched again if it lacks `id` and is not brand-new. Concurrent callers share
    /// one look.
    async fn with_key(&self, id: &str) -> Arc<Fetched> {
        let outdated = |known: &Arc<Fetched>| {
            let found = known.keys.as_ref().is_ok_and(|keys| keys.contains_key(id));
            !found && known.at.elapsed() >= COOLDOWN
        };
        let entry = self.fetched.entry(());
        let entry = entry.or_insert_with_if(self.fetch(), outdated).await;
        entry.into_value()
    }

    async fn fetch(&self) -> Arc<Fetched> {
        let keys = self.fetch_keys().await;
        if let Err(cause) = &keys {
            tracing::warn!(cause, "the control plane's keys cannot be read");
        }
        Arc::new(Fetched {
            keys,
            at: Instant::now(),
        })
    }

    async fn fetch_keys(&self) -> Result<HashMap<String, Key>, String> {
        let failed = |error: reqwest::Error| error.without_url().to_string();
        let request = self.client.get(self.address.clone()).send();
        let mut answer = request
            .await
            .and_then(reqwest::Response::error_for_status)
            .map_err(failed)?;
        let mut body = BytesMut::new();
        while let Some(chunk) = answer.chunk().await.map_err(failed)? {
            if body.len() + chunk.len() > MAX_KEY_SET_BYTES {
                return Err("the key set is too long".to_owned());
            }
            body.extend_from_slice(&chunk);
        }
        let set: JwkSet = serde_json::from_slice(&body).map_err(|error| error.to_string())?;
        Ok(set.keys.iter().filter_map(Key::of).collect())
    }
}

impl Key {
    /// A usable key with its name; keys of other kinds are passed over.
    fn of(jwk: &Jwk) -> Option<(String, Self)> {
        let algorithms = match jwk.common.key_algorithm {
            Some(named) => vec![signature(named)?],
            None => match &jwk.algorithm {
                AlgorithmParameters::RSA(_) => {
                    vec![Algorithm::RS256, Algorithm::RS384, Algorithm::RS512]
                }
                AlgorithmParameters::EllipticCurve(curve) => match curve.curve {
                    EllipticCurve::P256 => vec![Algorithm::ES256],
                    EllipticCurve::P384 => vec![Algorithm::ES384],
                    _ => return None,
                },
                _ => return None,
            },
        };
        let verifier = DecodingKey::from_jwk(jwk).ok()?;
        let id = jwk.common.key_id.clone().unwrap_or_default();
        Some((
            id,
            Self {
                verifier,
                algorithms,
            },
        ))
    }

    fn read(&self, token: &str) -> Option<Claims> {
        let mut validation = Validation::new(*self.algorithms.first()?);
        validation.algorithms.clone_from(&self.algorithms);
        // Times are checked exactly, as those of all tokens here.
        validation.required_spec_claims.clear();
        validation.validate_exp = false;
        validation.validate_aud = false;
        let claims: Claims = jsonwebtoken::decode(token, &self.verifier, &validation)
            .ok()?
            .claims;
        let now = now();
        let timely =
            claims.exp.is_none_or(|exp| exp > now) && claims.nbf.is_none_or(|nbf| nbf <= now);
        timely.then_some(claims)
    }
}

/// The algorithms that the contract knows; symmetric ones are not among them.
fn signature(named: KeyAlgorithm) -> Option<Algorithm> {
    match named {
        KeyAlgorithm::RS256 => Some(Algorithm::RS256),
        KeyAlgorithm::RS384 => Some(Algorithm::RS384),
        KeyAlgorithm::RS512 => Some(Algorithm::RS512),
        KeyAlgorithm::ES256 => Some(Algorithm::ES256),
        KeyAlgorithm::ES384 => Some(Algorithm::ES384),
        _ => None,
    }
}

fn administrator(claims: &Claims, bound_to: &str) -> Result<Identity, AuthError> {
    if claims.project_id.as_deref() != Some(bound_to) {
        return Err(AuthError::CloudProject);
    }
    let user = claims.user_id.trim();
    if claims.kind != CLOUD_TYPE || user.is_empty() {
        return Err(AuthError::CloudToken);
    }
    Ok(Identity {
        role: Role::ProjectAdmin,
        subject: Some(format!("{SUBJECT_PREFIX}{user}")),
        email: None,
        credential: Credential::Token,
        expires_at: claims.exp,
    })
}

/// Whether a subject is that of a user of the control plane.
pub fn is_cloud_subject(subject: &str) -> bool {
    subject.starts_with(SUBJECT_PREFIX)
}
