//! Which exposed schema a request is about.

use http::{HeaderMap, Method};

use crate::error::RestError;

/// The schema of a request, and whether the client chose it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Profile {
    pub(crate) schema: String,
    pub(crate) negotiated: bool,
}

/// `Accept-Profile` for reads, `Content-Profile` for writes; the first exposed schema otherwise.
pub(crate) fn negotiate(
    method: &Method,
    headers: &HeaderMap,
    exposed: &[String],
) -> Result<Profile, RestError> {
    let writes = matches!(
        *method,
        Method::POST | Method::PATCH | Method::PUT | Method::DELETE
    );
    let name = if writes {
        "content-profile"
    } else {
        "accept-profile"
    };
    let default = exposed.first().cloned().unwrap_or_default();
    let asked = headers
        .get(name)
        .map(|value| String::from_utf8_lossy(value.as_bytes()).trim().to_owned());
    match asked {
        Some(schema) if exposed.contains(&schema) => Ok(Profile {
            schema,
            negotiated: true,
        }),
        Some(_) => Err(RestError::schema_not_exposed(exposed)),
        None => Ok(Profile {
            schema: default,
            negotiated: exposed.len() > 1,
        }),
    }
}
