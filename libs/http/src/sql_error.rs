//! PostgreSQL's errors in answers to whoever wrote the SQL (contract, database §1.3).
//!
//! Administrators wrote the SQL, so they read PostgreSQL's own words. Only what is not about their
//! SQL (the server is full, stops, or is broken) stays inside.

use http::StatusCode;
use sqlx::postgres::PgDatabaseError;

use crate::{ApiError, Code};

/// The answer to an error of SQL that an administrator wrote or that was made from his input.
pub fn sql_error(error: sqlx::Error) -> ApiError {
    let sqlx::Error::Database(database) = &error else {
        return error.into();
    };
    let Some(postgres) = database.try_downcast_ref::<PgDatabaseError>() else {
        return error.into();
    };
    let answer = match postgres.code() {
        "57014" => ApiError::new(
            StatusCode::REQUEST_TIMEOUT,
            Code::InvalidInput,
            format!("Query timeout: {}", postgres.message()),
        )
        .with_hint("Split the work into smaller statements"),
        "42P07" => bad_request(Code::DatabaseDuplicate, postgres),
        "3F000" => bad_request(Code::DatabaseValidationError, postgres),
        // Deadlock, serialisation failure, lock not available.
        code if code.starts_with("40") || code == "55P03" => ApiError::new(
            StatusCode::CONFLICT,
            Code::DatabaseConstraintViolation,
            postgres.message().to_owned(),
        )
        .with_hint("Another session is using the same rows or tables: try again"),
        // Internal errors, system errors, corrupted data: nothing that the statement could help.
        code if code.starts_with("XX") || code.starts_with("58") || code.starts_with("F0") => {
            return error.into();
        }
        code => ApiError::from_sqlstate(code, postgres.message())
            .unwrap_or_else(|| bad_request(Code::InvalidInput, postgres)),
    };
    match advice(postgres) {
        Some(hint) => answer.with_hint(hint),
        None => answer,
    }
}

/// The answer to SQL that took longer than `limit`, such as `30 seconds`.
pub fn sql_timeout(limit: &str) -> ApiError {
    ApiError::new(
        StatusCode::REQUEST_TIMEOUT,
        Code::InvalidInput,
        format!("Query timeout: the work was cancelled after {limit}"),
    )
    .with_hint("Add an index or a LIMIT, or split the work into smaller statements")
}

fn bad_request(code: Code, error: &PgDatabaseError) -> ApiError {
    ApiError::new(StatusCode::BAD_REQUEST, code, error.message().to_owned())
}

/// What PostgreSQL itself advises, or the columns that the contract names.
fn advice(error: &PgDatabaseError) -> Option<String> {
    match error.code() {
        "23505" => {
            let field = error.detail().and_then(single_key).unwrap_or("field");
            Some(format!("Use another value for the unique field({field})"))
        }
        "23502" => error
            .column()
            .map(|column| format!("Fill the required field: {column}")),
        "42501" => Some(
            "Check the privileges and the row-level security policies of this object".to_owned(),
        ),
        "57014" => None,
        _ => error.hint().or(error.detail()).map(str::to_owned),
    }
}

/// `email` of `Key (email)=(a@b.c) already exists.`; nothing for a key of several columns.
fn single_key(detail: &str) -> Option<&str> {
    let (_, rest) = detail.split_once("Key (")?;
    let (columns, _) = rest.split_once(")=")?;
    (!columns.contains(',')).then_some(columns)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_keys_of_one_column_are_named() {
        assert_eq!(single_key("Key (email)=(a) already exists."), Some("email"));
        assert_eq!(single_key("Key (a, b)=(1, 2) already exists."), None);
        assert_eq!(single_key("something else"), None);
    }
}
