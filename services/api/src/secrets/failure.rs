//! Why a secret could not be read or changed.

use http::StatusCode;
use ingot_http::{ApiError, Code};
use ingot_identity::CipherError;

/// A refusal.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("there is no such secret")]
    NotFound,
    #[error("a secret of this name exists already")]
    Exists,
    #[error("the secret belongs to the platform")]
    Reserved,
    #[error(transparent)]
    Cipher(#[from] CipherError),
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

impl From<Failure> for ApiError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::NotFound => Self::new(
                StatusCode::NOT_FOUND,
                Code::SecretNotFound,
                "There is no active secret of this name",
            ),
            Failure::Exists => Self::new(
                StatusCode::CONFLICT,
                Code::SecretAlreadyExists,
                "A secret of this name exists already",
            )
            .with_hint("Change it with PUT, or choose another name"),
            Failure::Reserved => Self::forbidden("This secret belongs to the platform")
                .with_hint("Keys are changed by their rotation routes"),
            Failure::Cipher(error) => Self::internal(&error),
            Failure::Database(error) => error.into(),
        }
    }
}
