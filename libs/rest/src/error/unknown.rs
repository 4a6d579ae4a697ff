//! Errors about names: what the schema cache does not have, or has more than once.

use http::StatusCode;
use serde_json::Value;

use super::RestError;

impl RestError {
    pub(crate) fn no_relationship(
        parent: &str,
        child: &str,
        hint_name: Option<&str>,
        schema: &str,
        hint: Option<String>,
    ) -> Self {
        let using = hint_name
            .map(|name| format!(" using the hint '{name}'"))
            .unwrap_or_default();
        Self::new(
            StatusCode::BAD_REQUEST,
            "PGRST200",
            format!(
                "Could not find a relationship between '{parent}' and '{child}' in the schema cache"
            ),
        )
        .details(format!(
            "Searched for a foreign key relationship between '{parent}' and '{child}'{using} in \
             the schema '{schema}', but no matches were found."
        ))
        .maybe_hint(hint)
    }

    pub(crate) fn ambiguous_relationship(
        parent: &str,
        child: &str,
        candidates: Vec<Value>,
        spellings: &str,
    ) -> Self {
        Self::new(
            StatusCode::MULTIPLE_CHOICES,
            "PGRST201",
            format!(
                "Could not embed because more than one relationship was found for '{parent}' and \
                 '{child}'"
            ),
        )
        .details(Value::Array(candidates))
        .hint(format!(
            "Try changing '{child}' to one of the following: {spellings}. Find the desired \
             relationship in the 'details' key."
        ))
    }

    pub(crate) fn no_function(message: String, details: String, hint: Option<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "PGRST202", message)
            .details(details)
            .maybe_hint(hint)
    }

    pub(crate) fn ambiguous_function(candidates: &str) -> Self {
        Self::new(
            StatusCode::MULTIPLE_CHOICES,
            "PGRST203",
            format!("Could not choose the best candidate function between: {candidates}"),
        )
        .hint(
            "Try renaming the parameters or the function itself in the database so function \
             overloading can be resolved",
        )
    }

    pub(crate) fn no_column(table: &str, column: &str) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "PGRST204",
            format!("Could not find the '{column}' column of '{table}' in the schema cache"),
        )
    }

    /// PostgreSQL's own answer for a relation that does not exist, given without asking it.
    pub(crate) fn undefined_table(schema: &str, table: &str) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "42P01",
            format!("relation \"{schema}.{table}\" does not exist"),
        )
    }

    /// PostgreSQL's own answer for a column that does not exist, given without asking it.
    pub(crate) fn undefined_column(table: &str, column: &str, hint: Option<String>) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "42703",
            format!("column {table}.{column} does not exist"),
        )
        .maybe_hint(hint)
    }

    /// PostgreSQL's own answer for a column of `ON CONFLICT` that does not exist.
    pub(crate) fn undefined_conflict_column(column: &str) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "42703",
            format!("column \"{column}\" does not exist"),
        )
    }

    /// A write to what does not exist, a path that means nothing, a description that is switched
    /// off: 404 with an empty object.
    pub(crate) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "", "")
    }

    /// PostgreSQL's own answer for a type that does not exist, given without asking it.
    pub(crate) fn undefined_type(name: &str) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "42704",
            format!("type \"{name}\" does not exist"),
        )
    }
}
