//! The rules of bulk upserts: rows with one set of columns go together, all rows succeed or none.

use std::collections::HashMap;
use std::fs::File;
use std::time::Duration;

use http::StatusCode;
use ingot_http::{ApiError, Code, sql_error};
use ingot_project::AdminPools;
use tokio::sync::mpsc::{self, Receiver};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::timeout;

use super::records::{self, Found, ReadError};
use super::store::{Target, Upsert};
use crate::database::{JsonKind, TableName};

/// Longest bulk upsert.
const DEADLINE: Duration = Duration::from_hours(1);

/// Batches of lines that wait for the database.
const WAITING_BATCHES: usize = 8;

/// How a file is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FileFormat {
    Csv,
    Json,
}

/// What to write where.
#[derive(Debug)]
pub(super) struct Order {
    pub(super) table: TableName,
    /// Column by which known rows are found.
    pub(super) key: Option<String>,
    pub(super) format: FileFormat,
}

/// What came of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Written {
    /// Rows that were inserted or changed.
    pub(super) rows: u64,
    /// Rows in the file.
    pub(super) records: u64,
}

/// Writes the rows of the file in one transaction.
pub(super) async fn upsert(
    pools: &AdminPools,
    order: Order,
    file: File,
) -> Result<Written, ApiError> {
    // Dropping it ends the connection and with it the transaction.
    let written = timeout(DEADLINE, run(pools, order, file)).await;
    written.unwrap_or_else(|_| {
        Err(ApiError::new(
            StatusCode::REQUEST_TIMEOUT,
            Code::InvalidInput,
            "The bulk upsert was cancelled after one hour",
        )
        .with_hint("Split the file"))
    })
}

async fn run(pools: &AdminPools, order: Order, file: File) -> Result<Written, ApiError> {
    let mut upsert = Upsert::begin(pools).await.map_err(sql_error)?;
    let target = upsert
        .target(order.table, order.key)
        .await
        .map_err(sql_error)?;
    let (found, reading) = read(file, order.format, target.kinds.clone());
    let written = write(&mut upsert, &target, found).await;
    // A file that cannot be read is told before what the rows up to there led to.
    let records = match reading.await {
        Ok(Ok(records)) => records,
        Ok(Err(ReadError::Gone)) => 0,
        Ok(Err(problem)) => return Err(unreadable(&problem)),
        Err(crashed) => return Err(ApiError::internal(&crashed)),
    };
    let rows = written?;
    if records == 0 {
        return Err(ApiError::invalid_input("file: contains no rows"));
    }
    upsert.commit().await.map_err(failed)?;
    Ok(Written { rows, records })
}

/// Reads the file on a thread that is not needed elsewhere; ends early when the receiver is dropped.
fn read(
    file: File,
    format: FileFormat,
    kinds: HashMap<String, JsonKind>,
) -> (Receiver<Found>, JoinHandle<Result<u64, ReadError>>) {
    let (sender, found) = mpsc::channel(WAITING_BATCHES);
    let reading = spawn_blocking(move || {
        let mut taker = |part| sender.blocking_send(part).is_ok();
        match format {
            FileFormat::Csv => records::read_csv(file, &mut taker),
            FileFormat::Json => records::read_json(file, &kinds, &mut taker),
        }
    });
    (found, reading)
}

/// Writes what is found, set by set of columns; returns the number of rows.
async fn write(
    upsert: &mut Upsert,
    target: &Target,
    mut found: Receiver<Found>,
) -> Result<u64, ApiError> {
    let mut groups: Vec<Vec<String>> = Vec::new();
    let mut rows = 0;
    let mut next = found.recv().await;
    while let Some(part) = next {
        next = match part {
            Found::Columns(columns) => {
                check_columns(target, &columns)?;
                let prepared = upsert.prepare(target, groups.len(), &columns).await;
                prepared.map_err(failed)?;
                groups.push(columns);
                found.recv().await
            }
            Found::Rows { group, lines } => {
                let columns = groups.get(group).map(Vec::as_slice).unwrap_or_default();
                let started = upsert.copy(target, group, columns).await;
                let mut copy = started.map_err(failed)?;
                copy.send(lines).await.map_err(failed)?;
                let other = loop {
                    match found.recv().await {
                        Some(Found::Rows { group: same, lines }) if same == group => {
                            copy.send(lines).await.map_err(failed)?;
                        }
                        other => break other,
                    }
                };
                let copied = copy.finish().await.map_err(failed)?;
                rows += if target.needs_staging() { 0 } else { copied };
                other
            }
        };
    }
    for (group, columns) in groups.iter().enumerate() {
        rows += upsert.merge(target, group, columns).await.map_err(failed)?;
    }
    Ok(rows)
}

fn check_columns(target: &Target, columns: &[String]) -> Result<(), ApiError> {
    if columns.is_empty() {
        return Err(ApiError::invalid_input(
            "file: every row needs at least one column",
        ));
    }
    match &target.key {
        Some(key) if !columns.contains(key) => Err(ApiError::invalid_input(format!(
            "upsertKey: the column `{key}` is missing in some rows"
        ))
        .with_hint("Give every row a value in the upsertKey column")),
        _ => Ok(()),
    }
}

/// Every failure of the rows is the caller's and has one code (contract, database §7.5), unless the
/// server itself is the trouble.
fn failed(error: sqlx::Error) -> ApiError {
    let answer = sql_error(error);
    if answer.status().is_server_error() {
        return answer;
    }
    let hint = match answer.hint() {
        Some(hint) => format!("No row was written. {hint}"),
        None => "No row was written".to_owned(),
    };
    ApiError::invalid_input(answer.message().to_owned()).with_hint(hint)
}

fn unreadable(problem: &ReadError) -> ApiError {
    ApiError::invalid_input(problem.to_string())
        .with_hint("Send CSV with a header row, or a JSON array of objects")
}
