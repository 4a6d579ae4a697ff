//! The rules of the table editor: which rows, which values, all or nothing.

use std::fmt::Write;

use http::StatusCode;
use ingot_http::{ApiError, Code, sql_error, sql_timeout};
use ingot_project::AdminPools;
use serde_json::value::RawValue;

use super::columns::{Blank, Fields, Table};
use super::query::Listing;
use super::store::Work;
use crate::database::{DEADLINE, LIMIT, TableName, quote, rows_error};

/// Rows as JSON, untouched.
pub(super) type JsonRows = Vec<Box<RawValue>>;

/// A page of rows, and how many rows there are in all.
pub(super) async fn list(
    pools: &AdminPools,
    name: TableName,
    listing: &Listing,
) -> Result<(JsonRows, i64), ApiError> {
    in_time(async {
        let (mut work, table) = open(pools, name).await?;
        let mut conditions = Vec::new();
        if let Some(words) = &listing.search {
            conditions.extend(table.search(words)?);
        }
        if let Some((column, value)) = &listing.filter {
            conditions.push(table.equality(column, value)?);
        }
        let mut source = format!(" from {}", table.name.quoted());
        if !conditions.is_empty() {
            // Writing to a string cannot fail, here and below.
            let _ = write!(source, " where {}", conditions.join(" and "));
        }
        let mut page = format!("select *{source}");
        for (index, (column, descending)) in listing.order.iter().enumerate() {
            table.column(column)?;
            let _ = write!(
                page,
                "{} {}{}",
                if index == 0 { " order by" } else { "," },
                quote(column),
                if *descending { " desc" } else { "" }
            );
        }
        let _ = write!(page, " limit {} offset {}", listing.limit, listing.offset);
        let total = work
            .count(&format!("select count(*){source}"))
            .await
            .map_err(sql_error)?;
        let rows = work.rows(&page).await.map_err(rows_error)?;
        close(work).await?;
        Ok((rows.read()?, total))
    })
    .await
}

/// The first row in which all these columns have these values.
pub(super) async fn look_up(
    pools: &AdminPools,
    name: TableName,
    pairs: &[(String, String)],
) -> Result<Option<Box<RawValue>>, ApiError> {
    in_time(async {
        let (mut work, table) = open(pools, name).await?;
        let conditions = pairs
            .iter()
            .map(|(column, value)| table.equality(column, value))
            .collect::<Result<Vec<_>, _>>()?;
        let sql = format!(
            "select * from {} where {} limit 1",
            table.name.quoted(),
            conditions.join(" and ")
        );
        let rows = work.rows(&sql).await.map_err(rows_error)?;
        close(work).await?;
        Ok(rows.read()?.into_iter().next())
    })
    .await
}

/// Inserts the rows one by one and returns them as they were stored.
pub(super) async fn insert(
    pools: &AdminPools,
    name: TableName,
    records: &[Fields],
) -> Result<JsonRows, ApiError> {
    in_time(async {
        let (mut work, table) = open(pools, name).await?;
        let mut stored = Vec::with_capacity(records.len());
        for record in records {
            let assignments = table.assignments(record, Blank::Skip)?;
            let target = table.name.quoted();
            let sql = if assignments.is_empty() {
                format!("insert into {target} default values returning *")
            } else {
                let (names, values): (Vec<_>, Vec<_>) = assignments.into_iter().unzip();
                format!(
                    "insert into {target} ({}) values ({}) returning *",
                    names.join(", "),
                    values.join(", ")
                )
            };
            let rows = work.rows(&sql).await.map_err(rows_error)?;
            stored.extend(rows.read()?);
        }
        close(work).await?;
        Ok(stored)
    })
    .await
}

/// Changes the row with these keys and returns it.
pub(super) async fn update(
    pools: &AdminPools,
    name: TableName,
    keys: &Fields,
    data: &Fields,
) -> Result<Box<RawValue>, ApiError> {
    in_time(async {
        let (mut work, table) = open(pools, name).await?;
        let condition = table.key_condition(keys)?;
        let assignments: Vec<_> = table
            .assignments(data, Blank::Null)?
            .into_iter()
            .map(|(name, value)| format!("{name} = {value}"))
            .collect();
        let sql = format!(
            "update {} set {} where {condition} returning *",
            table.name.quoted(),
            assignments.join(", ")
        );
        let rows = work.rows(&sql).await.map_err(rows_error)?;
        let changed = rows.read()?.into_iter().next();
        let changed = changed.ok_or_else(|| missing("Row"))?;
        close(work).await?;
        Ok(changed)
    })
    .await
}

/// Removes the rows with these keys; says how many there were.
pub(super) async fn remove(
    pools: &AdminPools,
    name: TableName,
    keys: &[Fields],
) -> Result<u64, ApiError> {
    in_time(async {
        let (mut work, table) = open(pools, name).await?;
        let conditions = keys
            .iter()
            .map(|keys| table.key_condition(keys))
            .collect::<Result<Vec<_>, _>>()?;
        let sql = format!(
            "delete from {} where {}",
            table.name.quoted(),
            conditions.join(" or ")
        );
        let removed = work.rows(&sql).await.map_err(rows_error)?.affected;
        close(work).await?;
        Ok(removed)
    })
    .await
}

async fn open(pools: &AdminPools, name: TableName) -> Result<(Work, Table), ApiError> {
    let mut work = Work::begin(pools).await.map_err(sql_error)?;
    let found = work.table(name).await.map_err(sql_error)?;
    let table = found.ok_or_else(|| missing("Table"))?;
    Ok((work, table))
}

async fn close(work: Work) -> Result<(), ApiError> {
    work.commit().await.map_err(sql_error)
}

/// Dropping the work ends its connection.
async fn in_time<T>(work: impl Future<Output = Result<T, ApiError>>) -> Result<T, ApiError> {
    let done = tokio::time::timeout(DEADLINE, work).await;
    done.unwrap_or_else(|_| Err(sql_timeout(LIMIT)))
}

fn missing(what: &str) -> ApiError {
    ApiError::new(
        StatusCode::NOT_FOUND,
        Code::DatabaseNotFound,
        format!("{what} does not exist"),
    )
    .with_hint("GET /api/database/tables lists the tables")
}
