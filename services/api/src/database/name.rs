//! Names of schemas, tables and columns that come from callers (contract, database §2, §10.5).

use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::request::Parts;
use ingot_http::{ApiError, Code};

/// Longest name that PostgreSQL keeps, in bytes; it cuts longer ones off (PostgreSQL manual,
/// section 4.1.1).
const MAX_NAME: usize = 63;

/// A name as an SQL identifier, always quoted.
pub(crate) fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text as an SQL literal. Backslashes are plain characters in it, whatever the session's
/// settings say.
pub(crate) fn quote_literal(text: &str) -> String {
    let quoted = text.replace('\'', "''");
    if quoted.contains('\\') {
        format!(" E'{}'", quoted.replace('\\', "\\\\"))
    } else {
        format!("'{quoted}'")
    }
}

/// Refuses blank names and such with quotes or control characters. `what` names the thing in the
/// answer, for example `table name`.
pub(crate) fn check_identifier(what: &str, name: &str) -> Result<(), ApiError> {
    let problem = if name.trim().is_empty() {
        "must not be blank"
    } else if name.contains('"') || name.chars().any(|c| c.is_ascii_control()) {
        "must not contain double quotes or control characters"
    } else {
        return Ok(());
    };
    Err(invalid(what, problem))
}

/// Refuses also what PostgreSQL would not keep whole: the new thing would have another name than
/// its caller thinks.
pub(crate) fn check_new_identifier(what: &str, name: &str) -> Result<(), ApiError> {
    if name.len() > MAX_NAME {
        return Err(invalid(what, "must not be longer than 63 bytes"));
    }
    check_identifier(what, name)
}

fn invalid(what: &str, problem: &str) -> ApiError {
    ApiError::new(
        StatusCode::BAD_REQUEST,
        Code::DatabaseValidationError,
        format!("Invalid {what}: it {problem}"),
    )
    .with_hint("Use letters, digits and underscores for names")
}

/// A table with its schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TableName {
    pub(crate) schema: String,
    pub(crate) table: String,
}

impl TableName {
    pub(crate) fn new(schema: &str, table: &str) -> Result<Self, ApiError> {
        check_identifier("table name", table)?;
        Ok(Self {
            schema: schema.to_owned(),
            table: table.to_owned(),
        })
    }

    /// Reads `table` or `schema.table`; the former is in `default_schema`.
    pub(crate) fn parse(reference: &str, default_schema: &str) -> Result<Self, ApiError> {
        let (schema, table) = match reference.split('.').collect::<Vec<_>>().as_slice() {
            [table] => (default_schema, *table),
            [schema, table] => (*schema, *table),
            _ => {
                return Err(ApiError::invalid_input(format!(
                    "Invalid table reference `{reference}`: write table or schema.table"
                )));
            }
        };
        check_identifier("schema name", schema)?;
        Self::new(schema, table)
    }

    /// As SQL, for example `"public"."notes"`.
    pub(crate) fn quoted(&self) -> String {
        format!("{}.{}", quote(&self.schema), quote(&self.table))
    }

    /// For people and events, for example `public.notes`.
    pub(crate) fn dotted(&self) -> String {
        format!("{}.{}", self.schema, self.table)
    }
}

/// The schema that the query parameter `schema` selects: `public` when it is missing, blank or
/// given more than once.
#[derive(Debug, Clone, utoipa::IntoParams)]
#[into_params(names("schema"), parameter_in = Query)]
pub(crate) struct Schema(
    /// `public` unless given.
    #[param(value_type = Option<String>)]
    pub(crate) String,
);

impl Schema {
    pub(crate) fn of_query(query: &str) -> Result<Self, ApiError> {
        let mut given = url::form_urlencoded::parse(query.as_bytes())
            .filter(|(key, _)| key == "schema")
            .map(|(_, value)| value.trim().to_owned());
        let name = match (given.next(), given.next()) {
            (Some(name), None) if !name.is_empty() => name,
            _ => return Ok(Self("public".to_owned())),
        };
        Self::named(&name)
    }

    /// A schema that a caller names.
    pub(crate) fn named(name: &str) -> Result<Self, ApiError> {
        if name == "information_schema" || name.starts_with("pg_") {
            return Err(ApiError::invalid_input(format!(
                "schema: `{name}` belongs to PostgreSQL itself; choose another schema"
            )));
        }
        check_identifier("schema name", name)?;
        Ok(Self(name.to_owned()))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Schema {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Response> {
        Self::of_query(parts.uri.query().unwrap_or_default()).map_err(IntoResponse::into_response)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_parameter() {
        for (query, schema) in [
            ("", "public"),
            ("schema=", "public"),
            ("schema=a&schema=b", "public"),
            ("x=1&schema=%20app%20", "app"),
            ("schema=auth", "auth"),
        ] {
            assert_eq!(Schema::of_query(query).unwrap().0, schema, "{query}");
        }
        let code = |query| Schema::of_query(query).unwrap_err().code();
        assert_eq!(code("schema=pg_catalog"), Code::InvalidInput);
        assert_eq!(code("schema=information_schema"), Code::InvalidInput);
        assert_eq!(code("schema=a%22b"), Code::DatabaseValidationError);
    }

    #[test]
    fn new_names_are_kept_whole() {
        assert!(check_new_identifier("table name", &"t".repeat(63)).is_ok());
        for wrong in ["é".repeat(32), "t".repeat(64), " ".to_owned()] {
            let refused = check_new_identifier("table name", &wrong).unwrap_err();
            assert_eq!(refused.code(), Code::DatabaseValidationError, "{wrong}");
        }
    }

    #[test]
    fn quoting() {
        assert_eq!(quote("a\"b"), "\"a\"\"b\"");
        assert_eq!(quote_literal("it's"), "'it''s'");
        assert_eq!(quote_literal("a\\'b"), " E'a\\\\''b'");
        let parsed = TableName::parse("app.notes", "public").unwrap();
        assert_eq!(parsed.quoted(), "\"app\".\"notes\"");
        assert!(TableName::parse("a.b.c", "public").is_err());
    }
}
