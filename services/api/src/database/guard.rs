//! The SQL guard's refusals in answers.

use http::StatusCode;
use ingot_http::{ApiError, Code};
use ingot_sql_guard::Refusal;

/// The contract's answer to a refused text (database §10.1).
pub(crate) fn refused(refusal: &Refusal) -> ApiError {
    match refusal {
        Refusal::Unavailable => ApiError::unavailable(refusal),
        Refusal::TooLong => ApiError::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            Code::InvalidInput,
            refusal.to_string(),
        ),
        Refusal::Rule { rule, .. } => ApiError::forbidden(refusal.to_string())
            .with_hint(format!("The rule {} refused the SQL", rule.id)),
        Refusal::Unparsable(_) | Refusal::Empty => {
            ApiError::forbidden(refusal.to_string()).with_hint("Correct the SQL and send it again")
        }
    }
}
