//! Why a credential was not accepted, and what the caller is told (contract, platform §4.4).

use http::StatusCode;
use ingot_http::{ApiError, Code};

const TOKEN_HINT: &str = "Send a valid token as `Authorization: Bearer <token>`";
const API_KEY_HINT: &str =
    "Send the project's API key as `Authorization: Bearer ik_…` or in the header `x-api-key`";
const ADMIN_HINT: &str = "Sign in as the project's administrator, or use the API key";

/// A credential that was not accepted. A failed check never falls back to a weaker identity.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AuthError {
    /// No credential of a kind that the guard accepts.
    #[error("no access token was sent")]
    MissingToken,
    /// A token with a bad form, signature, time or claim. Clients refresh on this one only.
    #[error("the access token is invalid or expired")]
    InvalidToken,
    /// A good token that says of nobody that it is theirs. HTTP callers are told the same as for a
    /// bad one; Socket.IO has a text of its own for it (contract, realtime §2).
    #[error("the access token has no subject")]
    MissingSubject,
    /// A wrong anon key.
    #[error("the anon key is not valid")]
    InvalidAnonKey,
    /// A missing or wrong API key.
    #[error("the API key is missing or not valid")]
    InvalidApiKey,
    /// A control plane's token with a bad form, signature, time or claim.
    #[error("the control plane's token is invalid or expired")]
    CloudToken,
    /// A control plane's token about another project.
    #[error("the control plane's token is for another project")]
    CloudProject,
    /// A control plane's token, and the project is bound to none.
    #[error("the project is bound to no control plane: PROJECT_ID is not set")]
    CloudUnbound,
    /// A valid caller who is no administrator.
    #[error("this needs the project's administrator")]
    NotAdmin,
    /// The keys could not be read, so nothing can be said about the credential.
    #[error("the project's keys cannot be read: {0}")]
    Unavailable(String),
}

impl From<AuthError> for ApiError {
    fn from(error: AuthError) -> Self {
        let unauthorized =
            |code, message: &'static str| Self::new(StatusCode::UNAUTHORIZED, code, message);
        match error {
            AuthError::MissingToken => {
                unauthorized(Code::AuthInvalidCredentials, "No access token was sent")
                    .with_hint(TOKEN_HINT)
            }
            // No hint: clients handle this code by refreshing.
            AuthError::InvalidToken | AuthError::MissingSubject => unauthorized(
                Code::AuthUnauthorized,
                "The access token is invalid or expired",
            ),
            AuthError::InvalidAnonKey => {
                unauthorized(Code::AuthInvalidCredentials, "The anon key is not valid")
                    .with_hint(TOKEN_HINT)
            }
            AuthError::InvalidApiKey => unauthorized(
                Code::AuthInvalidApiKey,
                "The API key is missing or not valid",
            )
            .with_hint(API_KEY_HINT),
            AuthError::CloudToken => unauthorized(
                Code::AuthInvalidCredentials,
                "The control plane's token is invalid or expired",
            )
            .with_hint(TOKEN_HINT),
            AuthError::CloudProject => Self::new(
                StatusCode::FORBIDDEN,
                Code::AuthUnauthorized,
                "The control plane's token is for another project",
            )
            .with_hint(TOKEN_HINT),
            AuthError::CloudUnbound => Self::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                Code::InternalError,
                "This project is bound to no control plane",
            )
            .with_hint("Set PROJECT_ID, or sign in with this server's own credentials"),
            AuthError::NotAdmin => Self::new(
                StatusCode::FORBIDDEN,
                Code::AuthUnauthorized,
                "This needs the project's administrator",
            )
            .with_hint(ADMIN_HINT),
            AuthError::Unavailable(cause) => Self::unavailable(&cause),
        }
    }
}
