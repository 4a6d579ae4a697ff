//! OPTIONS: which methods a resource has.

use std::collections::BTreeSet;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};

use super::Response;
use crate::error::RestError;
use crate::plan::{Parsed, Planner};
use crate::request::Target;
use crate::schema::Volatility;

/// The answer to OPTIONS. Of a function's overloads, the one without arguments is meant.
pub(crate) fn of_options(planner: &Planner<'_>, parsed: &Parsed) -> Result<Response, RestError> {
    let methods = match &parsed.target {
        Target::Root => vec!["OPTIONS", "GET", "HEAD"],
        Target::Relation(name) => {
            let relation = planner.schema.relation(planner.profile, name);
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
            let choice = planner.choose_function(parsed, name, &BTreeSet::new())?;
            if choice.function.volatility == Volatility::Volatile {
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
        reason: None,
    })
}
