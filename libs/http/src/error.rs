//! The error envelope: `{error, message, statusCode, nextActions?}` (contract, platform §7).

use std::borrow::Cow;

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::Serialize;

/// An answer that tells the caller what is wrong and what to do about it.
///
/// A domain has its own typed error and one `match` that maps it to this. Texts must not carry
/// anything internal: the cause belongs into the log, under the same request id.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{status} {code}: {message}", code = code.as_str())]
pub struct ApiError {
    status: StatusCode,
    code: Code,
    message: Cow<'static, str>,
    next_actions: Option<Cow<'static, str>>,
    retry_after: Option<u64>,
}

/// Seconds after which a client that was refused for want of memory should try again.
const RETRY_OVERLOADED: u64 = 2;

impl ApiError {
    /// An error with its status, code and message.
    pub fn new(status: StatusCode, code: Code, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            next_actions: None,
            retry_after: None,
        }
    }

    /// Adds what the caller should do next.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<Cow<'static, str>>) -> Self {
        self.next_actions = Some(hint.into());
        self
    }

    /// Adds a `Retry-After` header, in seconds.
    #[must_use]
    pub fn with_retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// 400 `INVALID_INPUT`.
    pub fn invalid_input(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, Code::InvalidInput, message)
    }

    /// 404 `NOT_FOUND`.
    pub fn not_found(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::NOT_FOUND, Code::NotFound, message)
    }

    /// 403 `FORBIDDEN`.
    pub fn forbidden(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::FORBIDDEN, Code::Forbidden, message)
    }

    /// 500 `INTERNAL_ERROR` with a text that gives nothing away; `cause` goes to the log.
    pub fn internal(cause: &dyn std::fmt::Display) -> Self {
        tracing::error!(error = %cause, "internal error");
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            Code::InternalError,
            "Something went wrong on the server",
        )
        .with_hint("Try again; if it happens again, report the x-request-id of this answer")
    }

    /// 503 for a dependency that does not answer at the moment; `cause` goes to the log.
    pub fn unavailable(cause: &dyn std::fmt::Display) -> Self {
        tracing::warn!(error = %cause, "a dependency is unavailable");
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            Code::InternalError,
            "A service that this request needs is not available",
        )
        .with_hint("Try again in a moment")
        .with_retry_after(1)
    }

    /// 503 for a request that comes while the process has no memory to spare.
    pub fn overloaded() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            Code::UpstreamFailure,
            "The server has too much to do at the moment",
        )
        .with_hint("Try again after the seconds that the Retry-After header says")
        .with_retry_after(RETRY_OVERLOADED)
    }

    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The code that clients branch on.
    pub fn code(&self) -> Code {
        self.code
    }

    /// The text for people.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What the caller should do next, if that was added.
    pub fn hint(&self) -> Option<&str> {
        self.next_actions.as_deref()
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Envelope<'a> {
    error: &'a str,
    message: &'a str,
    status_code: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_actions: Option<&'a str>,
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let envelope = Envelope {
            error: self.code.as_str(),
            message: &self.message,
            status_code: self.status.as_u16(),
            next_actions: self.next_actions.as_deref(),
        };
        let mut response = (self.status, Json(&envelope)).into_response();
        if let Some(seconds) = self.retry_after {
            response
                .headers_mut()
                .insert(http::header::RETRY_AFTER, seconds.into());
        }
        response
    }
}

/// Database errors of the platform's own queries (contract, platform §7.2).
///
/// A domain that expects a constraint to fire maps it before it gets here.
impl From<sqlx::Error> for ApiError {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Database(database) => Self::from_sqlstate(
                database.code().as_deref().unwrap_or_default(),
                database.message(),
            )
            .unwrap_or_else(|| Self::internal(&error)),
            sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::Io(_)
            | sqlx::Error::Tls(_) => Self::unavailable(&error),
            _ => Self::internal(&error),
        }
    }
}

impl ApiError {
    /// The contract's answer to an SQLSTATE, if it has one: the message is PostgreSQL's, which the
    /// contract shows to callers for these codes.
    pub fn from_sqlstate(sqlstate: &str, message: &str) -> Option<Self> {
        let message = message.to_owned();
        let bad_request = |code, message, hint: &'static str| {
            Some(Self::new(StatusCode::BAD_REQUEST, code, message).with_hint(hint))
        };
        match sqlstate {
            "23505" => Some(
                Self::new(StatusCode::CONFLICT, Code::DatabaseDuplicate, message)
                    .with_hint("Use another value for the unique field"),
            ),
            "23503" => bad_request(
                Code::DatabaseConstraintViolation,
                message,
                "Make sure that the referenced row exists",
            ),
            "23502" => bad_request(Code::MissingField, message, "Fill the required field"),
            "42P01" => bad_request(
                Code::DatabaseValidationError,
                message,
                "Check the table's name",
            ),
            "42703" => bad_request(
                Code::DatabaseValidationError,
                message,
                "Check the column's name",
            ),
            "42701" => bad_request(
                Code::DatabaseValidationError,
                message,
                "Name each column once",
            ),
            "42830" => bad_request(
                Code::DatabaseValidationError,
                message,
                "Reference a primary key or a unique column",
            ),
            "42804" => bad_request(
                Code::DatabaseValidationError,
                message,
                "Give both columns of the foreign key the same type",
            ),
            "42501" => Some(
                Self::new(StatusCode::FORBIDDEN, Code::Forbidden, message)
                    .with_hint("Check the privileges and row-level security policies"),
            ),
            // The caller's value or statement is wrong: classes 22 (data), 23 (constraint), 42 (syntax).
            code if code.starts_with("22") || code.starts_with("23") || code.starts_with("42") => {
                bad_request(
                    Code::InvalidInput,
                    message,
                    "Correct the value or statement",
                )
            }
            // Too many connections, shutting down, cannot connect now.
            code if code.starts_with("53") || code.starts_with("57P") => {
                Some(Self::unavailable(&message))
            }
            _ => None,
        }
    }
}

macro_rules! codes {
    ($($(#[$meta:meta])* $variant:ident = $text:literal),* $(,)?) => {
        /// Codes that clients branch on (contract, platform §7.5).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[allow(missing_docs, reason = "the variants are the wire names, explained in the contract")]
        pub enum Code { $($(#[$meta])* $variant),* }

        impl Code {
            /// The code as it stands on the wire.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),* }
            }
        }
    };
}

codes! {
    AuthInvalidCredentials = "AUTH_INVALID_CREDENTIALS",
    AuthInvalidApiKey = "AUTH_INVALID_API_KEY",
    AuthEmailExists = "AUTH_EMAIL_EXISTS",
    AuthUserNotFound = "AUTH_USER_NOT_FOUND",
    AuthUnauthorized = "AUTH_UNAUTHORIZED",
    AuthSignupDisabled = "AUTH_SIGNUP_DISABLED",
    AuthVerificationEmailDeliveryFailed = "AUTH_VERIFICATION_EMAIL_DELIVERY_FAILED",
    DatabaseValidationError = "DATABASE_VALIDATION_ERROR",
    DatabaseConstraintViolation = "DATABASE_CONSTRAINT_VIOLATION",
    DatabaseNotFound = "DATABASE_NOT_FOUND",
    DatabaseDuplicate = "DATABASE_DUPLICATE",
    DatabaseMigrationAlreadyExists = "DATABASE_MIGRATION_ALREADY_EXISTS",
    DatabaseInternalError = "DATABASE_INTERNAL_ERROR",
    DatabaseForbidden = "DATABASE_FORBIDDEN",
    RealtimeChannelNotFound = "REALTIME_CHANNEL_NOT_FOUND",
    RealtimeInvalidChannelRequest = "REALTIME_INVALID_CHANNEL_REQUEST",
    RealtimeInvalidChannelPattern = "REALTIME_INVALID_CHANNEL_PATTERN",
    SecretAlreadyExists = "SECRET_ALREADY_EXISTS",
    SecretNotFound = "SECRET_NOT_FOUND",
    StorageInvalidParameter = "STORAGE_INVALID_PARAMETER",
    EmailProviderNotConfigured = "EMAIL_PROVIDER_NOT_CONFIGURED",
    MissingField = "MISSING_FIELD",
    InvalidInput = "INVALID_INPUT",
    NotFound = "NOT_FOUND",
    Forbidden = "FORBIDDEN",
    TooManyRequests = "TOO_MANY_REQUESTS",
    UpstreamFailure = "UPSTREAM_FAILURE",
    InternalError = "INTERNAL_ERROR",
}
