//! Refusals as answers over HTTP (contract, database §10.1).

use http::StatusCode;
use ingot_http::{ApiError, Code};

use crate::Refusal;

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Unavailable => Self::unavailable(&refusal),
            Refusal::TooLong => Self::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                Code::InvalidInput,
                refusal.to_string(),
            ),
            Refusal::Rule { rule, .. } => Self::forbidden(refusal.to_string())
                .with_hint(format!("The rule {} refused the SQL", rule.id)),
            Refusal::Unparsable(_) | Refusal::Empty => {
                Self::forbidden(refusal.to_string()).with_hint("Correct the SQL and send it again")
            }
        }
    }
}
