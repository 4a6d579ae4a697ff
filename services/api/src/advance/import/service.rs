//! The rules of imports: every statement passes the guard, all of them succeed or none.

use std::fs::File;
use std::io::{BufReader, Read};
use std::time::Duration;

use futures::{Stream, StreamExt, stream};
use http::StatusCode;
use ingot_http::{ApiError, Code, sql_error};
use ingot_project::AdminPools;
use ingot_sql_guard::{Guard, Profile, Refusal, Statement};
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::part::{Batch, Part, ScriptError};
use super::script::Script;
use super::store::Import;

/// Longest import. The edge gives up on a silent answer earlier (`INGOT_UPSTREAM_TIMEOUT`); then
/// the client is gone and the import is undone.
const DEADLINE: Duration = Duration::from_hours(1);

/// Parts that wait between the file and the guard.
const WAITING_PARTS: usize = 4;

/// Batches that are parsed ahead of the one that runs.
const PARSED_AHEAD: usize = 2;

/// Most tables that an answer names.
const MAX_TABLES: usize = 10_000;

/// What an import did.
#[derive(Debug, Default)]
pub(super) struct Imported {
    /// Tables that were created or got rows, each once; those in `public` without their schema.
    pub(super) tables: Vec<String>,
    /// Rows of `INSERT` and `COPY`.
    pub(super) rows: u64,
}

/// Runs the dump in one transaction, with `truncate` after emptying the tables of `public`.
pub(super) async fn import(
    guard: &Guard,
    pools: &AdminPools,
    dump: File,
    truncate: bool,
) -> Result<Imported, ApiError> {
    let running = run(guard, pools, dump, truncate);
    // Dropping it ends the connection and with it the transaction.
    timeout(DEADLINE, running).await.unwrap_or_else(|_| {
        Err(ApiError::new(
            StatusCode::REQUEST_TIMEOUT,
            Code::InvalidInput,
            "The import was cancelled after one hour",
        )
        .with_hint("Split the dump"))
    })
}

async fn run(
    guard: &Guard,
    pools: &AdminPools,
    dump: File,
    truncate: bool,
) -> Result<Imported, ApiError> {
    let mut steps = Box::pin(admitted(guard.clone(), parts(dump)));
    // The beginning is judged before anything is locked.
    let mut next = steps.next().await.transpose()?;
    let mut import = Import::begin(pools).await.map_err(sql_error)?;
    if truncate {
        import.truncate_public().await.map_err(sql_error)?;
    }
    let mut imported = Imported::default();
    while let Some(step) = next {
        match step {
            Step::Run(batch, statements) => {
                imported.run(&mut import, &batch, &statements).await?;
            }
            Step::Copy(batch, statement) => {
                imported
                    .copy(&mut import, &batch, &statement, &mut steps)
                    .await?;
            }
            // Only a COPY takes data, and it takes all of it.
            Step::Data(_) | Step::EndOfData => {}
        }
        next = steps.next().await.transpose()?;
    }
    import.commit().await.map_err(|error| failed(error, None))?;
    Ok(imported)
}

/// The parts of the dump, read by a thread that is not needed elsewhere.
pub(crate) fn parts(
    dump: impl Read + Send + 'static,
) -> impl Stream<Item = Result<Part, ScriptError>> + Send {
    let (sender, mut receiver) = mpsc::channel(WAITING_PARTS);
    spawn_blocking(move || {
        let mut script = Script::new(BufReader::new(dump));
        while let Some(part) = script.next_part().transpose() {
            let failed = part.is_err();
            // Nobody listens any more when the import has failed.
            if sender.blocking_send(part).is_err() || failed {
                return;
            }
        }
    });
    stream::poll_fn(move |context| receiver.poll_recv(context))
}

/// One part that the guard admitted.
enum Step {
    Run(Batch, Vec<Statement>),
    Copy(Batch, Box<Statement>),
    Data(Vec<u8>),
    EndOfData,
}

/// Lets the guard judge the parts, some ahead of those that run, in their order.
fn admitted(
    guard: Guard,
    parts: impl Stream<Item = Result<Part, ScriptError>> + Send,
) -> impl Stream<Item = Result<Step, ApiError>> + Send {
    parts
        .map(move |part| {
            let guard = guard.clone();
            async move {
                match part.map_err(|error| unreadable(&error))? {
                    Part::Statements(batch) => {
                        let statements = check(&guard, &batch).await?;
                        if statements.iter().any(|statement| statement.is_copy) {
                            return Err(out_of_place(&batch));
                        }
                        Ok(Step::Run(batch, statements))
                    }
                    Part::Copy(batch) => {
                        let statements = check(&guard, &batch).await?;
                        match <[Statement; 1]>::try_from(statements) {
                            Ok([statement]) if statement.reads_copy_data => {
                                Ok(Step::Copy(batch, Box::new(statement)))
                            }
                            _ => Err(out_of_place(&batch)),
                        }
                    }
                    Part::CopyData(data) => Ok(Step::Data(data)),
                    Part::CopyEnd => Ok(Step::EndOfData),
                }
            }
        })
        .buffered(PARSED_AHEAD)
}

async fn check(guard: &Guard, batch: &Batch) -> Result<Vec<Statement>, ApiError> {
    let refusal = match guard.check(Profile::Import, batch.sql.clone()).await {
        Ok(script) => return Ok(script.statements),
        Err(refusal) => refusal,
    };
    let culprit = match &refusal {
        Refusal::Rule { statement, .. } => Some(*statement),
        Refusal::Unparsable(_) => unparsable(guard, batch).await,
        _ => None,
    };
    let line = culprit.and_then(|index| batch.lines.get(index));
    let error = ApiError::from(refusal);
    Err(match line {
        Some(line) => error.with_hint(format!(
            "Correct or remove the statement that begins on line {line}"
        )),
        None => error,
    })
}

/// The first statement that cannot be parsed by itself.
async fn unparsable(guard: &Guard, batch: &Batch) -> Option<usize> {
    for (index, statement) in batch.statements().enumerate() {
        let parsed = guard.analyze(statement.to_owned()).await;
        if matches!(parsed, Err(Refusal::Unparsable(_))) {
            return Some(index);
        }
    }
    None
}

impl Imported {
    async fn run(
        &mut self,
        import: &mut Import,
        batch: &Batch,
        statements: &[Statement],
    ) -> Result<(), ApiError> {
        let (counts, result) = import.run(&batch.sql).await;
        result.map_err(|error| failed(error, batch.lines.get(counts.len())))?;
        for (statement, count) in statements.iter().zip(counts) {
            self.rows += if statement.is_insert { count } else { 0 };
            if let Some(table) = &statement.filled_table {
                self.name(table);
            }
        }
        Ok(())
    }

    async fn copy(
        &mut self,
        import: &mut Import,
        batch: &Batch,
        statement: &Statement,
        steps: &mut (impl Stream<Item = Result<Step, ApiError>> + Unpin),
    ) -> Result<(), ApiError> {
        let line = batch.lines.first();
        let mut copy = import
            .copy(&batch.sql)
            .await
            .map_err(|error| failed(error, line))?;
        while let Some(Step::Data(data)) = steps.next().await.transpose()? {
            copy.send(data).await.map_err(|error| failed(error, line))?;
        }
        self.rows += copy.finish().await.map_err(|error| failed(error, line))?;
        if let Some(table) = &statement.filled_table {
            self.name(table);
        }
        Ok(())
    }

    fn name(&mut self, table: &str) {
        let shown = table.strip_prefix("public.").unwrap_or(table);
        let known = self.tables.iter().any(|name| name == shown);
        if !known && self.tables.len() < MAX_TABLES {
            self.tables.push(shown.to_owned());
        }
    }
}

/// Every failure of a dump is the caller's and has one code (contract, database §7.4), unless the
/// server itself is the trouble.
fn failed(error: sqlx::Error, line: Option<&u64>) -> ApiError {
    let answer = sql_error(error);
    if answer.status().is_server_error() {
        return answer;
    }
    let hint = match line {
        Some(line) => format!(
            "The statement that begins on line {line} failed; nothing was imported. {}",
            answer.hint().unwrap_or_default()
        ),
        None => "Nothing was imported".to_owned(),
    };
    ApiError::invalid_input(answer.message().to_owned()).with_hint(hint.trim_end().to_owned())
}

fn unreadable(error: &ScriptError) -> ApiError {
    match error {
        ScriptError::Read(cause) => ApiError::internal(cause),
        ScriptError::Empty => Refusal::Empty.into(),
        problem => ApiError::invalid_input(problem.to_string()),
    }
}

fn out_of_place(batch: &Batch) -> ApiError {
    let line = batch.lines.first().copied().unwrap_or_default();
    ApiError::invalid_input(format!(
        "A COPY at or after line {line} cannot be read: only COPY ... FROM STDIN with its data on the \
         lines after it can be imported"
    ))
    .with_hint("Remove the COPY, or put its data on the lines after it")
}
