//! How OpenAPI documents describe what this library answers and reads, so that no route repeats it.

use std::collections::BTreeMap;

use utoipa::openapi::{
    ContentBuilder, KnownFormat, ObjectBuilder, Ref, RefOr, Response, ResponseBuilder, Schema,
    SchemaFormat, Type,
};
use utoipa::{IntoResponses, PartialSchema, ToSchema};

use crate::{ApiError, Timestamp};

/// Every error's answer. A document whose routes name [`ApiError`] among their responses has it
/// among its components.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "camelCase")]
#[allow(dead_code, reason = "it describes what ApiError writes")]
pub struct Problem {
    /// For programs, such as `INVALID_INPUT`.
    #[schema(examples("INVALID_INPUT"))]
    error: String,
    /// For people.
    message: String,
    /// The status of the answer.
    #[schema(minimum = 400, maximum = 599)]
    status_code: u16,
    /// What to do about it.
    #[schema(nullable = false)]
    next_actions: Option<String>,
}

impl IntoResponses for ApiError {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let answer = |description: &str| {
            let schema = Ref::from_schema_name(Problem::name());
            let content = ContentBuilder::new().schema(Some(schema)).build();
            ResponseBuilder::new()
                .description(description)
                .content("application/json", content)
                .build()
                .into()
        };
        BTreeMap::from([
            (
                "4XX".to_owned(),
                answer("The request is refused; `error` says why"),
            ),
            (
                "503".to_owned(),
                answer("What the route needs is away for the moment"),
            ),
        ])
    }
}

impl PartialSchema for Timestamp {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
            .description(Some("UTC, with milliseconds"))
            .into()
    }
}

impl ToSchema for Timestamp {}
