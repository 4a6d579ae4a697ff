//! OPTIONS: which methods a resource has.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};

use super::Response;
use crate::error::RestError;
use crate::request::Target;
use crate::schema::{Schema, Volatility};

/// The answer to OPTIONS of a resource in schema `profile`.
pub(crate) fn of_options(
    target: &Target,
    profile: &str,
    schema: &Schema,
) -> Result<Response, RestError> {
    let methods = match target {
        Target::Root => vec!["OPTIONS", "GET", "HEAD"],
        Target::Relation(name) => {
            let relation = schema.relation(profile, name);
            let relation = relation.ok_or_else(RestError::not_found)?;
            let replaceable =
                relation.insertable && relation.updatable && !relation.primary_key.is_empty();
            let optional = [
                ("POST", relation.insertable),
                ("PUT", replaceable),
                ("PATCH", relation.updatable),
                ("DELETE", relation.deletable),
            ];
            let possible = optional.iter().filter(|(_, possible)| *possible);
            let mut methods = vec!["OPTIONS", "GET", "HEAD"];
            methods.extend(possible.map(|(method, _)| *method));
            methods
        }
        Target::Function(name) => {
            let functions = schema.functions(profile, name);
            let first = functions.first().ok_or_else(|| {
                RestError::no_function(
                    format!("Could not find the function {profile}.{name} in the schema cache"),
                    format!("Searched for the function {profile}.{name}, but found none."),
                    None,
                )
            })?;
            if first.volatility == Volatility::Volatile {
                vec!["OPTIONS", "POST"]
            } else {
                vec!["OPTIONS", "GET", "HEAD", "POST"]
            }
        }
    };
    let mut headers = HeaderMap::new();
    if let Ok(allow) = HeaderValue::from_str(&methods.join(",")) {
        headers.insert(header::ALLOW, allow);
    }
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_ORIGIN,
        HeaderValue::from_static("*"),
    );
    Ok(Response {
        status: StatusCode::OK,
        headers,
        body: Bytes::new(),
    })
}
