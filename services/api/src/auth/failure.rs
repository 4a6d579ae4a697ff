//! Why something in this domain was refused, and the contract's code for it.

use http::StatusCode;
use ingot_http::{ApiError, Code};
use ingot_identity::AuthError;

/// A refusal.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("an account with this e-mail address exists already")]
    EmailExists,
    #[error("sign-up is switched off")]
    SignupDisabled,
    /// With the active rules.
    #[error("{0}")]
    WeakPassword(String),
    #[error("no such user")]
    UserNotFound,
    /// Deliberately says nothing about which part was wrong.
    #[error("the credentials are wrong")]
    WrongCredentials,
    #[error("the code is wrong or has expired")]
    WrongCode,
    #[error("the e-mail address is not verified")]
    EmailNotVerified,
    #[error("the verification mail could not be sent")]
    VerificationNotSent,
    #[error("no mail provider is configured")]
    NoMailProvider,
    /// The refresh token is not, or no longer, good for anything.
    #[error("the session has ended")]
    SessionEnded,
    #[error("the CSRF token is missing or wrong")]
    Csrf,
    /// A valid token, but not of somebody who has what was asked for.
    #[error("the token does not belong to a user of this project")]
    NotAUser,
    #[error("the token does not belong to an administrator")]
    NotAnAdministrator,
    #[error("administrators have no profile")]
    NoProfile,
    #[error("too many failed sign-ins")]
    TooManyAttempts,
    /// Too many passwords are being checked at this moment.
    #[error("too many sign-ins at once")]
    Busy,
    #[error(transparent)]
    Identity(#[from] AuthError),
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    #[error("cannot sign a token: {0}")]
    Signing(#[from] jsonwebtoken::errors::Error),
    #[error("cannot hash a password: {0}")]
    Hashing(#[from] bcrypt::BcryptError),
}

impl From<Failure> for ApiError {
    fn from(failure: Failure) -> Self {
        use Code as C;
        use StatusCode as S;
        let of = |status, code, message: &'static str| Self::new(status, code, message);
        match failure {
            Failure::EmailExists => of(
                S::CONFLICT,
                C::AuthEmailExists,
                "This e-mail address is taken",
            )
            .with_hint("Sign in instead, or use another address"),
            Failure::SignupDisabled => of(
                S::FORBIDDEN,
                C::AuthSignupDisabled,
                "Sign-up is switched off for this project",
            ),
            Failure::WeakPassword(rules) => Self::invalid_input(rules),
            Failure::UserNotFound => of(S::NOT_FOUND, C::AuthUserNotFound, "There is no such user"),
            Failure::WrongCredentials => of(
                S::UNAUTHORIZED,
                C::AuthUnauthorized,
                "The credentials are wrong",
            ),
            Failure::WrongCode => Self::invalid_input("The code is wrong or has expired"),
            Failure::EmailNotVerified => Self::forbidden("The e-mail address is not verified yet")
                .with_hint(
                    "Verify the address with the code or link that was mailed, then sign in",
                ),
            Failure::VerificationNotSent => of(
                S::INTERNAL_SERVER_ERROR,
                C::AuthVerificationEmailDeliveryFailed,
                "The account exists now, but the verification mail could not be sent",
            )
            .with_hint("Do not sign up again; ask for another verification mail later"),
            Failure::NoMailProvider => of(
                S::BAD_REQUEST,
                C::EmailProviderNotConfigured,
                "Verification needs mail, and no mail provider is configured",
            )
            .with_hint("Configure a mail provider first"),
            Failure::SessionEnded => of(
                S::UNAUTHORIZED,
                C::AuthUnauthorized,
                "The session has ended",
            ),
            Failure::Csrf => Self::forbidden("The CSRF token is missing or wrong"),
            Failure::NotAUser => of(
                S::UNAUTHORIZED,
                C::AuthInvalidCredentials,
                "The token does not belong to a user of this project",
            )
            .with_hint("Sign in as a user"),
            Failure::NotAnAdministrator => of(
                S::FORBIDDEN,
                C::AuthUnauthorized,
                "This needs the project's administrator",
            )
            .with_hint("Sign in as the project's administrator"),
            Failure::NoProfile => Self::forbidden("Administrators have no profile"),
            Failure::TooManyAttempts => of(
                S::TOO_MANY_REQUESTS,
                C::TooManyRequests,
                "Too many failed sign-ins",
            )
            .with_hint("Wait for the time in Retry-After, then use the right password"),
            Failure::Busy => of(
                S::SERVICE_UNAVAILABLE,
                C::InternalError,
                "Too many sign-ins at once",
            )
            .with_hint("Try again in a moment")
            .with_retry_after(1),
            Failure::Identity(error) => error.into(),
            Failure::Database(error) => error.into(),
            Failure::Signing(error) => Self::internal(&error),
            Failure::Hashing(error) => Self::internal(&error),
        }
    }
}
