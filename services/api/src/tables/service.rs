//! Tables made, shown, changed and removed, each in one transaction.

use http::StatusCode;
use ingot_http::{ApiError, Code, sql_error};
use serde::Serialize;
use sqlx::PgPool;

use super::column;
use super::description::{ForeignKey, NewColumn, NewTable, TableChanges};
use super::plan::{define, foreign_key, own_columns, plan};
use super::store;
use crate::database::{TableName, begin_as_admin, check_new_identifier};

pub(super) async fn list(pool: &PgPool, schema: &str) -> Result<Vec<String>, ApiError> {
    store::tables(pool, schema).await.map_err(sql_error)
}

/// A created column: what was asked for, and its type in SQL.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct CreatedColumn {
    #[serde(flatten)]
    column: NewColumn,
    sql_type: &'static str,
}

/// Creates a table and returns the columns that were added to the reserved ones.
pub(super) async fn create(
    pool: &PgPool,
    schema: &str,
    request: &NewTable,
) -> Result<Vec<CreatedColumn>, ApiError> {
    check_new_identifier("table name", &request.table_name)?;
    let table = TableName::new(schema, &request.table_name)?;
    let columns = own_columns(&request.columns)?;
    if columns.is_empty() {
        return Err(validation(
            "A table needs at least one column besides id, created_at and updated_at",
        ));
    }
    let definitions = define(&columns)?;
    let mut transaction = begin_as_admin(pool).await.map_err(sql_error)?;
    if store::exists(&mut transaction, &table)
        .await
        .map_err(sql_error)?
    {
        return Err(ApiError::new(
            StatusCode::BAD_REQUEST,
            Code::DatabaseDuplicate,
            format!("Table {} already exists", table.dotted()),
        )
        .with_hint("Choose another name, or change the table with PATCH"));
    }
    let keys = request
        .foreign_keys
        .iter()
        .map(|key| foreign_key(key, schema, StatusCode::BAD_REQUEST))
        .collect::<Result<Vec<_>, _>>()?;
    store::create(
        &mut transaction,
        &table,
        &definitions,
        &keys,
        request.rls_enabled,
    )
    .await
    .map_err(sql_error)?;
    transaction.commit().await.map_err(sql_error)?;
    Ok(columns
        .into_iter()
        .zip(definitions)
        .map(|(column, definition)| CreatedColumn {
            column: column.clone(),
            sql_type: definition.sql_type,
        })
        .collect())
}

/// A table as it is shown.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct TableSchema {
    schema_name: String,
    table_name: String,
    columns: Vec<ShownColumn>,
    foreign_keys: Vec<ForeignKey>,
    record_count: i64,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
struct ShownColumn {
    column_name: String,
    #[serde(rename = "type")]
    column_type: String,
    is_nullable: bool,
    is_primary_key: bool,
    is_unique: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    default_value: Option<String>,
}

pub(super) async fn describe(
    pool: &PgPool,
    schema: &str,
    table: &str,
) -> Result<TableSchema, ApiError> {
    let table = TableName::new(schema, table)?;
    let mut transaction = begin_as_admin(pool).await.map_err(sql_error)?;
    let columns = store::columns(&mut transaction, &table)
        .await
        .map_err(sql_error)?;
    if columns.is_empty() {
        return Err(missing(&table));
    }
    let foreign_keys = store::foreign_keys(&mut transaction, &table)
        .await
        .map_err(sql_error)?;
    // Last, because a failed count aborts the transaction.
    let record_count = store::count(&mut transaction, &table).await.unwrap_or(0);
    Ok(TableSchema {
        schema_name: table.schema,
        table_name: table.table,
        columns: columns.into_iter().map(shown).collect(),
        foreign_keys,
        record_count,
    })
}

fn shown(column: store::Column) -> ShownColumn {
    ShownColumn {
        column_type: column::shown_type(&column.data_type, &column.type_name),
        column_name: column.name,
        is_nullable: column.is_nullable,
        is_primary_key: column.is_primary_key,
        is_unique: column.is_unique,
        default_value: column.default.as_deref().map(column::shown_default),
    }
}

/// Applies the changes in one transaction and says, step by step, what was done.
pub(super) async fn update(
    pool: &PgPool,
    schema: &str,
    table: &str,
    changes: &TableChanges,
) -> Result<Vec<String>, ApiError> {
    let table = TableName::new(schema, table)?;
    let mut transaction = begin_as_admin(pool).await.map_err(sql_error)?;
    let present = store::columns(&mut transaction, &table)
        .await
        .map_err(sql_error)?;
    if present.is_empty() {
        return Err(missing(&table));
    }
    let keys = store::foreign_keys(&mut transaction, &table)
        .await
        .map_err(sql_error)?;
    let steps = plan(&table, changes, &present, &keys)?;
    for (step, _) in &steps {
        store::apply(&mut transaction, &table, step)
            .await
            .map_err(sql_error)?;
    }
    store::request_reload(&mut transaction)
        .await
        .map_err(sql_error)?;
    transaction.commit().await.map_err(sql_error)?;
    Ok(steps.into_iter().map(|(_, told)| told).collect())
}

/// Drops the table; a table that does not exist is as good as dropped.
pub(super) async fn remove(pool: &PgPool, schema: &str, table: &str) -> Result<(), ApiError> {
    let table = TableName::new(schema, table)?;
    let mut transaction = begin_as_admin(pool).await.map_err(sql_error)?;
    store::drop_table(&mut transaction, &table)
        .await
        .map_err(sql_error)?;
    transaction.commit().await.map_err(sql_error)
}

pub(super) fn validation(message: impl Into<std::borrow::Cow<'static, str>>) -> ApiError {
    ApiError::new(
        StatusCode::BAD_REQUEST,
        Code::DatabaseValidationError,
        message,
    )
    .with_hint("Correct the description of the table")
}

fn missing(table: &TableName) -> ApiError {
    ApiError::new(
        StatusCode::NOT_FOUND,
        Code::DatabaseNotFound,
        format!("Table {} does not exist", table.dotted()),
    )
    .with_hint("GET /api/database/tables lists the tables")
}
