//! Who a socket belongs to: the `auth` object of its CONNECT packet (contract, realtime §2).
//!
//! Headers, cookies and the query do not count. A refusal reaches the client as the message of its
//! `connect_error`, and these texts are the contract's.

use ingot_identity::{ANON_KEY_PREFIX, API_KEY_PREFIX, AuthError, Authenticator, Identity};
use ingot_project::Project;
use serde_json::Value;

/// Why a socket may not join.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("Invalid API key")]
    ApiKey,
    #[error("Invalid anon key")]
    AnonKey,
    #[error("No authentication provided")]
    Nothing,
    #[error("Invalid token")]
    Token,
    #[error("Invalid token subject")]
    Subject,
    #[error("Invalid authentication")]
    Malformed,
    /// Nothing can be said about the credential at the moment. The client is not refused, which it
    /// would take as final, but cut off, so that it tries again.
    #[error("the credential cannot be checked now")]
    Unavailable,
}

/// What the client sent, before any of it is checked.
#[derive(Debug, PartialEq, Eq)]
enum Sent {
    ApiKey(String),
    AnonKey(String),
    /// An API key where a token belongs: the official client's administrator sends it there.
    ApiKeyAsToken(String),
    Token(String),
}

/// Checks the `auth` object. A wrong API key never falls through to the token.
pub(crate) async fn authenticate(
    authenticator: &Authenticator,
    project: &Project,
    auth: &Value,
) -> Result<Identity, Refusal> {
    let (checked, otherwise) = match read(auth)? {
        Sent::ApiKey(key) => (
            authenticator.verify_api_key(project, &key).await,
            Refusal::ApiKey,
        ),
        Sent::ApiKeyAsToken(key) => (
            authenticator.verify_api_key(project, &key).await,
            Refusal::Token,
        ),
        Sent::AnonKey(key) => (
            authenticator.verify_anon_key(project, &key).await,
            Refusal::AnonKey,
        ),
        Sent::Token(token) => (
            authenticator.verify_token(project, &token).await,
            Refusal::Token,
        ),
    };
    checked.map_err(|error| refusal(&error, otherwise))
}

fn refusal(error: &AuthError, otherwise: Refusal) -> Refusal {
    match error {
        AuthError::Unavailable(cause) => {
            tracing::warn!(%cause, "a handshake cannot be checked");
            Refusal::Unavailable
        }
        AuthError::MissingSubject => Refusal::Subject,
        _ => otherwise,
    }
}

fn read(auth: &Value) -> Result<Sent, Refusal> {
    match auth.get("apiKey") {
        Some(Value::String(key)) if !key.is_empty() => return Ok(Sent::ApiKey(key.clone())),
        Some(given) if is_given(given) => return Err(Refusal::Malformed),
        _ => {}
    }
    match auth.get("token") {
        Some(Value::String(token)) if !token.is_empty() => {
            Ok(if token.starts_with(ANON_KEY_PREFIX) {
                Sent::AnonKey(token.clone())
            } else if token.starts_with(API_KEY_PREFIX) {
                Sent::ApiKeyAsToken(token.clone())
            } else {
                Sent::Token(token.clone())
            })
        }
        Some(given) if is_given(given) => Err(Refusal::Token),
        _ => Err(Refusal::Nothing),
    }
}

/// Whether JavaScript, and so the contract, takes a value as given.
fn is_given(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_api_key_comes_first() {
        let cases = [
            (
                json!({"apiKey": "k", "token": "t"}),
                Ok(Sent::ApiKey("k".into())),
            ),
            (
                json!({"apiKey": "", "token": "t"}),
                Ok(Sent::Token("t".into())),
            ),
            (
                json!({"apiKey": null, "token": "anon_1"}),
                Ok(Sent::AnonKey("anon_1".into())),
            ),
            (
                json!({"token": "ik_1"}),
                Ok(Sent::ApiKeyAsToken("ik_1".into())),
            ),
            (json!({"apiKey": 5, "token": "t"}), Err(Refusal::Malformed)),
            (json!({"token": 5}), Err(Refusal::Token)),
            (json!({"token": 0}), Err(Refusal::Nothing)),
            (json!({}), Err(Refusal::Nothing)),
        ];
        for (auth, wanted) in cases {
            assert_eq!(read(&auth), wanted, "{auth}");
        }
    }
}
