//! Guards as axum extractors, named after the contract's (platform §4).
//!
//! A handler that takes `VerifyAdmin(caller)` runs for administrators only. The credential's shape
//! decides which check it gets; a failed check never falls back to a weaker identity. Requests must
//! have passed [`ingot_http::EdgeKey::require`], which says which project they belong to.

use axum::extract::{FromRef, FromRequestParts};
use axum::response::{IntoResponse, Response};
use http::HeaderMap;
use http::header::AUTHORIZATION;
use http::request::Parts;
use ingot_http::{ApiError, Forwarded};
use ingot_project::Project;

use crate::keys::{ANON_KEY_PREFIX, API_KEY_PREFIX};
use crate::tokens::claims_to_be_cloud;
use crate::{AuthError, Authenticator, Identity};

/// Header that carries an API key of any look.
const API_KEY_HEADER: &str = "x-api-key";

/// The credentials of a request; each is present when its header is there and not empty.
struct Credentials<'a> {
    bearer: Option<&'a str>,
    api_key: Option<&'a str>,
}

impl<'a> Credentials<'a> {
    /// The scheme word is case-sensitive; other schemes count as no token.
    fn of(headers: &'a HeaderMap) -> Self {
        let text = |name: &str| {
            headers
                .get(name)
                // Bytes outside of ASCII can be in no credential; they make an invalid one.
                .map(|value| value.to_str().unwrap_or("\u{fffd}"))
                .filter(|value| !value.is_empty())
        };
        let bearer = match headers.get(AUTHORIZATION).map(http::HeaderValue::as_bytes) {
            Some(bytes) if bytes.starts_with(b"Bearer ") => {
                Some(text(AUTHORIZATION.as_str()).map_or("", |value| {
                    value.strip_prefix("Bearer ").unwrap_or("\u{fffd}")
                }))
            }
            _ => None,
        };
        Self {
            bearer: bearer.filter(|token| !token.is_empty()),
            api_key: bearer
                .filter(|token| token.starts_with(API_KEY_PREFIX))
                .or_else(|| text(API_KEY_HEADER)),
        }
    }
}

impl Authenticator {
    /// `verifyUser`: API key, anon key or token.
    pub async fn verify_user(
        &self,
        project: &Project,
        headers: &HeaderMap,
    ) -> Result<Identity, AuthError> {
        let credentials = Credentials::of(headers);
        if let Some(key) = credentials.api_key {
            return self.verify_api_key(project, key).await;
        }
        match credentials.bearer {
            Some(key) if key.starts_with(ANON_KEY_PREFIX) => {
                self.verify_anon_key(project, key).await
            }
            Some(token) => self.verify_token(project, token).await,
            None => Err(AuthError::MissingToken),
        }
    }

    /// `verifyToken`: a token only.
    pub async fn verify_token_of(
        &self,
        project: &Project,
        headers: &HeaderMap,
    ) -> Result<Identity, AuthError> {
        match Credentials::of(headers).bearer {
            Some(token) => self.verify_token(project, token).await,
            None => Err(AuthError::MissingToken),
        }
    }

    /// `verifyAdmin`: API key, a control plane's token, or one whose role is `project_admin`.
    pub async fn verify_admin(
        &self,
        project: &Project,
        headers: &HeaderMap,
    ) -> Result<Identity, AuthError> {
        let credentials = Credentials::of(headers);
        if let Some(key) = credentials.api_key {
            return self.verify_api_key(project, key).await;
        }
        let token = credentials.bearer.ok_or(AuthError::MissingToken)?;
        if claims_to_be_cloud(token) {
            return self.verify_cloud_token(project, token).await;
        }
        let identity = self.verify_token(project, token).await?;
        if identity.is_admin() {
            Ok(identity)
        } else {
            Err(AuthError::NotAdmin)
        }
    }

    /// `verifyApiKey`: an API key only.
    pub async fn verify_api_key_of(
        &self,
        project: &Project,
        headers: &HeaderMap,
    ) -> Result<Identity, AuthError> {
        match Credentials::of(headers).api_key {
            Some(key) => self.verify_api_key(project, key).await,
            None => Err(AuthError::InvalidApiKey),
        }
    }
}

macro_rules! guards {
    ($($(#[$meta:meta])* $name:ident = $check:ident;)*) => { $(
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct $name(pub Identity);

        impl<S> FromRequestParts<S> for $name
        where
            S: Send + Sync,
            Authenticator: FromRef<S>,
        {
            type Rejection = Response;

            async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
                let forwarded = Forwarded::from_request_parts(parts, state).await?;
                Authenticator::from_ref(state)
                    .$check(&forwarded.project, &parts.headers)
                    .await
                    .map(Self)
                    .map_err(|error| ApiError::from(error).into_response())
            }
        }
    )* };
}

guards! {
    /// Anyone with a valid credential: API key, anon key or token.
    VerifyUser = verify_user;
    /// The bearer of a valid token, of any role.
    VerifyToken = verify_token_of;
    /// The project's administrator, by API key or token.
    VerifyAdmin = verify_admin;
    /// The bearer of the API key.
    VerifyApiKey = verify_api_key_of;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &[u8])]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| {
                let value = http::HeaderValue::from_bytes(value).unwrap();
                (http::HeaderName::from_static(name), value)
            })
            .collect()
    }

    #[test]
    fn credentials_are_told_apart_by_shape() {
        type Case<'a> = (
            &'a [(&'static str, &'a [u8])],
            Option<&'a str>,
            Option<&'a str>,
        );
        let cases: &[Case<'_>] = &[
            (&[], None, None),
            (&[("authorization", b"bearer x")], None, None),
            (&[("authorization", b"Basic x")], None, None),
            (&[("authorization", b"Bearer ")], None, None),
            (&[("authorization", b"Bearer x")], Some("x"), None),
            (
                &[("authorization", b"Bearer ik_1")],
                Some("ik_1"),
                Some("ik_1"),
            ),
            (&[("authorization", b"Bearer \xff")], Some("\u{fffd}"), None),
            (&[("x-api-key", b"")], None, None),
            (&[("x-api-key", b"any")], None, Some("any")),
            (
                &[("authorization", b"Bearer ik_1"), ("x-api-key", b"any")],
                Some("ik_1"),
                Some("ik_1"),
            ),
            (
                &[("authorization", b"Bearer a.b.c"), ("x-api-key", b"any")],
                Some("a.b.c"),
                Some("any"),
            ),
        ];
        for (pairs, bearer, api_key) in cases {
            let headers = headers(pairs);
            let credentials = Credentials::of(&headers);
            assert_eq!(
                (credentials.bearer, credentials.api_key),
                (*bearer, *api_key),
                "{pairs:?}"
            );
        }
    }
}
