//! Results of statements as JSON, each row an object (contract, database §1.4).

use futures::TryStreamExt;
use http::StatusCode;
use ingot_http::{ApiError, Code, sql_error, sql_timeout};
use serde_json::value::RawValue;
use sqlx::postgres::{PgColumn, PgRow};
use sqlx::{AssertSqlSafe, Column, Either, PgConnection, Row, ValueRef};

use super::context::LIMIT;
use super::values::{Values, write_string};

/// Largest result, in bytes of JSON.
const MAX_RESULT: usize = 64 * 1024 * 1024;

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RowsError {
    #[error(transparent)]
    Sql(#[from] sqlx::Error),
    #[error("the result is too large")]
    TooLarge,
}

/// The answer to a statement that has no result.
pub(crate) fn rows_error(error: RowsError) -> ApiError {
    match error {
        RowsError::Sql(sqlx::Error::Database(error))
            if error.code().is_some_and(|c| c == "57014") =>
        {
            sql_timeout(LIMIT)
        }
        RowsError::Sql(error) => sql_error(error),
        RowsError::TooLarge => ApiError::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            Code::InvalidInput,
            "The result is larger than 64 MiB",
        )
        .with_hint("Add a LIMIT, or select fewer columns"),
    }
}

/// The result of a statement.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    /// The rows as a JSON array without its brackets.
    pub(crate) json: String,
    /// Rows touched by the last statement.
    pub(crate) affected: u64,
    /// Name and type OID of each column.
    pub(crate) fields: Vec<(String, u32)>,
    values: Values,
}

/// Name and type OID of a column.
pub(crate) fn field(column: &PgColumn) -> (String, u32) {
    let oid = column.type_info().oid().map_or(0, |oid| oid.0);
    (column.name().to_owned(), oid)
}

/// Runs a text in the simple protocol and collects the rows of its statements.
pub(crate) async fn collect(
    connection: &mut PgConnection,
    sql: &str,
    values: Values,
) -> Result<Rows, RowsError> {
    let mut outcome = Rows {
        values,
        ..Rows::default()
    };
    let mut results = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_many(connection);
    while let Some(result) = results.try_next().await? {
        match result {
            Either::Left(done) => outcome.affected = done.rows_affected(),
            Either::Right(row) => outcome.push(&row)?,
        }
    }
    Ok(outcome)
}

impl Rows {
    /// The rows one by one, each as its JSON text.
    pub(crate) fn read(&self) -> Result<Vec<Box<RawValue>>, ApiError> {
        serde_json::from_str(&format!("[{}]", self.json))
            .map_err(|error| ApiError::internal(&error))
    }

    fn push(&mut self, row: &PgRow) -> Result<(), RowsError> {
        if self.json.is_empty() {
            self.fields = row.columns().iter().map(field).collect();
        } else {
            self.json.push(',');
        }
        self.json.push('{');
        let mut first = true;
        for (index, (name, oid)) in self.fields.iter().enumerate() {
            // Of columns with one name the last one counts.
            let later = self.fields.get(index + 1..).unwrap_or_default();
            if later.iter().any(|(other, _)| other == name) {
                continue;
            }
            if !first {
                self.json.push(',');
            }
            first = false;
            write_string(&mut self.json, name);
            self.json.push(':');
            let value = row.try_get_raw(index)?;
            if value.is_null() {
                self.json.push_str("null");
            } else {
                let text = value.as_str().map_err(sqlx::Error::Decode)?;
                self.values.write(&mut self.json, *oid, text);
            }
        }
        self.json.push('}');
        if self.json.len() > MAX_RESULT {
            return Err(RowsError::TooLarge);
        }
        Ok(())
    }
}
