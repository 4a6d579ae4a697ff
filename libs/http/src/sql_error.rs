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
        "0A000" => extension_advice(error.message()).or_else(|| own(error)),
        "42501" => Some(extension_advice(error.message()).unwrap_or_else(|| {
            "Check the privileges and the row-level security policies of this object".to_owned()
        })),
        "57014" => None,
        _ => own(error),
    }
}

/// PostgreSQL's advice.
fn own(error: &PgDatabaseError) -> Option<String> {
    error.hint().or(error.detail()).map(str::to_owned)
}

/// What to do where `CREATE EXTENSION` did not find its files, or takes a superuser.
fn extension_advice(message: &str) -> Option<String> {
    if message.starts_with("permission denied to create extension") {
        return Some(
            "Have the server's operator create it in this database: it takes a superuser"
                .to_owned(),
        );
    }
    let name = message
        .strip_prefix("extension \"")?
        .strip_suffix("\" is not available")?;
    // Two of them are not among Debian's own packages, but among those of PostgreSQL for Debian.
    let package = match name {
        "vector" => "`apt-get install postgresql-<version>-pgvector` from apt.postgresql.org",
        "pg_cron" => "`apt-get install postgresql-<version>-cron`",
        "http" => "`apt-get install postgresql-<version>-http` from apt.postgresql.org",
        "postgis" => "`apt-get install postgresql-<version>-postgis-3`",
        _ => "the package that has it",
    };
    Some(format!(
        "Have the server's operator install it there, on Debian with {package}, then try again"
    ))
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
    fn missing_extensions_are_told_with_their_package() {
        let advice = |message| extension_advice(message).unwrap_or_default();
        assert!(
            advice("extension \"vector\" is not available")
                .contains("apt-get install postgresql-<version>-pgvector")
        );
        assert!(
            advice("permission denied to create extension \"http\"").contains("takes a superuser")
        );
        assert_eq!(advice("permission denied for table t"), "");
    }

    #[test]
    fn only_keys_of_one_column_are_named() {
        assert_eq!(single_key("Key (email)=(a) already exists."), Some("email"));
        assert_eq!(single_key("Key (a, b)=(1, 2) already exists."), None);
        assert_eq!(single_key("something else"), None);
    }
}
