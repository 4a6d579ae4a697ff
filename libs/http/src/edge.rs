//! Trust in the edge: only it may say which project a request belongs to and who the client is.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{FromRequestParts, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::request::Parts;
use ingot_config::{Secret, SettingValue};
use ingot_project::{Project, ProjectRegistry};
use subtle::ConstantTimeEq;

use crate::ApiError;

/// Names of the headers that the edge sets after it removed any that a client sent.
pub mod header {
    /// The project's id.
    pub const PROJECT: &str = "x-ingot-project";
    /// The key that proves that the edge sent the request.
    pub const EDGE_KEY: &str = "x-ingot-edge-key";
    /// The client's address after `TRUST_PROXY`.
    pub const CLIENT_IP: &str = "x-ingot-client-ip";
    /// Id of the request, in logs and answers.
    pub const REQUEST_ID: &str = "x-request-id";
    /// Name of a realtime node, on its answer to `/readyz`.
    pub const NODE: &str = "x-ingot-node";
}

ingot_config::settings! {
    /// What proves that a request came through the edge.
    pub struct EdgeSettings {
        /// Shared by the edge and the services behind it.
        edge_key: SharedKey = "INGOT_EDGE_KEY";
    }
}

/// Characters that the key must have: who guesses it may speak for any client and project.
const KEY_LENGTH: usize = 32;

/// The key of [`EdgeSettings`]: long enough not to be guessed, and fit for a header.
#[derive(Debug, Clone)]
pub struct SharedKey(Secret);

impl SharedKey {
    /// The key itself.
    pub fn secret(&self) -> &Secret {
        &self.0
    }
}

impl SettingValue for SharedKey {
    const KIND: &'static str = "a secret text of at least 32 characters";

    fn parse(text: &str) -> Result<Self, String> {
        if text.len() < KEY_LENGTH {
            return Err(format!(
                "is shorter than {KEY_LENGTH} characters: generate a longer one"
            ));
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("has characters that a header cannot carry: use letters and digits".into());
        }
        Ok(Self(Secret::new(text)))
    }
}

/// Guards a service's routes: state of [`EdgeKey::require`].
#[derive(Debug, Clone)]
pub struct EdgeKey {
    key: Arc<Secret>,
    registry: Arc<ProjectRegistry>,
}

impl EdgeKey {
    /// The guard for a service of these projects.
    pub fn new(settings: &EdgeSettings, registry: Arc<ProjectRegistry>) -> Self {
        Self {
            key: Arc::new(settings.edge_key.secret().clone()),
            registry,
        }
    }

    /// Middleware (`axum::middleware::from_fn_with_state`): refuses what did not come through the
    /// edge and puts a [`Forwarded`] into the request.
    pub async fn require(State(guard): State<Self>, mut request: Request, next: Next) -> Response {
        match guard.admit(&request) {
            Ok(forwarded) => {
                request.extensions_mut().insert(forwarded);
                next.run(request).await
            }
            Err(error) => error.into_response(),
        }
    }

    /// The same check for servers that are not an axum router.
    pub fn admit<B>(&self, request: &http::Request<B>) -> Result<Forwarded, ApiError> {
        let text = |name| {
            request
                .headers()
                .get(name)
                .and_then(|value| value.to_str().ok())
        };
        let key = request
            .headers()
            .get(header::EDGE_KEY)
            .map_or(&b""[..], |key| key.as_bytes());
        if !bool::from(key.ct_eq(self.key.expose().as_bytes())) {
            return Err(ApiError::forbidden("This service answers the edge only")
                .with_hint("Send the request to the edge's address"));
        }
        let project = text(header::PROJECT)
            .and_then(|id| self.registry.find(id))
            .cloned();
        Ok(Forwarded {
            project: project
                .ok_or_else(|| ApiError::not_found("This project is not served here"))?,
            client: text(header::CLIENT_IP).and_then(|ip| ip.parse().ok()),
            request_id: text(header::REQUEST_ID).unwrap_or_default().into(),
        })
    }
}

/// What the edge said about a request. Also an extractor in handlers behind [`EdgeKey::require`].
#[derive(Debug, Clone)]
pub struct Forwarded {
    /// The project that the host led to.
    pub project: Arc<Project>,
    /// The client's address.
    pub client: Option<IpAddr>,
    /// Id of the request.
    pub request_id: Arc<str>,
}

impl<S: Send + Sync> FromRequestParts<S> for Forwarded {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Response> {
        parts.extensions.get::<Self>().cloned().ok_or_else(|| {
            // A route was mounted outside the guard: a programming error, not the caller's.
            tracing::error!(
                path = parts.uri.path(),
                "route is not behind the edge guard"
            );
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ingot_config::{Environment, Settings};

    fn guard() -> EdgeKey {
        let env = Environment::from_pairs([("JWT_SECRET", "0123456789abcdef0123456789abcdef")]);
        let registry = ProjectRegistry::from_environment(&env).unwrap();
        let settings = EdgeSettings {
            edge_key: SharedKey::parse(&"k".repeat(32)).unwrap(),
        };
        EdgeKey::new(&settings, Arc::new(registry))
    }

    fn admit(headers: &[(&str, &str)]) -> Result<Forwarded, StatusCode> {
        let mut request = http::Request::new(());
        for (name, value) in headers {
            let name = http::HeaderName::try_from(*name).unwrap();
            request.headers_mut().insert(name, value.parse().unwrap());
        }
        guard().admit(&request).map_err(|error| error.status())
    }

    #[test]
    fn only_the_edge_is_admitted() {
        let key = "k".repeat(32);
        assert_eq!(admit(&[(header::PROJECT, "default")]).unwrap_err(), 403);
        assert_eq!(admit(&[(header::EDGE_KEY, "wrong")]).unwrap_err(), 403);
        assert_eq!(
            admit(&[(header::EDGE_KEY, &key), (header::PROJECT, "x")]).unwrap_err(),
            404
        );
        let forwarded = admit(&[(header::EDGE_KEY, &key), (header::PROJECT, "default")]).unwrap();
        assert_eq!(forwarded.project.id.as_str(), "default");
    }

    #[test]
    fn a_key_that_could_be_guessed_or_sent_wrongly_is_refused() {
        for (key, complaint) in [
            ("k".repeat(31), "shorter than 32"),
            ("\u{fc}".repeat(32), "a header cannot carry"),
            (format!("{}\n", "k".repeat(32)), "a header cannot carry"),
        ] {
            let environment = Environment::from_pairs([("INGOT_EDGE_KEY", key)]);
            let problems = EdgeSettings::load(&environment).unwrap_err().to_string();
            assert!(
                problems.contains("INGOT_EDGE_KEY") && problems.contains(complaint),
                "{problems}"
            );
        }
    }
}
