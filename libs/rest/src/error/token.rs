//! Group 3: the token. The engine sees no tokens; hosts that do answer with these.

use http::{HeaderValue, StatusCode, header};

use super::RestError;

impl RestError {
    /// PGRST300: a token came, but there is nothing to verify it with.
    pub fn no_jwt_secret() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "PGRST300",
            "Server lacks JWT secret",
        )
    }

    /// PGRST301: the token is not valid. `reason` is told to the client.
    pub fn invalid_token(reason: &str) -> Self {
        let quoted = reason.replace('\\', "\\\\").replace('"', "\\\"");
        let challenge = format!("Bearer error=\"invalid_token\", error_description=\"{quoted}\"");
        let error = Self::new(StatusCode::UNAUTHORIZED, "PGRST301", reason);
        match HeaderValue::from_str(&challenge) {
            Ok(challenge) => error.with_header(header::WWW_AUTHENTICATE, challenge),
            Err(_) => error,
        }
    }

    /// PGRST302: no token came, and nobody may do anything without.
    pub fn anonymous_disabled() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "PGRST302",
            "Anonymous access is disabled",
        )
        .with_header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
    }
}
