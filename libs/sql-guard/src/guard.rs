//! The entry: parse on a thread with a deep stack, a few at a time, and inspect.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;

use tokio::sync::{Semaphore, oneshot};

use crate::rules::{Profile, Rule};
use crate::script::Script;
use crate::{inspect, parser, pieces};

/// Longest SQL text, in bytes. A syntax tree is some fifty times as large as its text.
pub const MAX_SQL_BYTES: usize = 16 * 1024 * 1024;

/// Stack of a parser thread, in bytes; memory is only used as far as the text nests.
pub(crate) const STACK: usize = 64 * 1024 * 1024;

/// Why a script is not admitted.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// A rule refuses one of its statements.
    #[error("{sentence}", sentence = rule.sentence)]
    Rule {
        /// The rule.
        rule: &'static Rule,
        /// Index of the statement.
        statement: usize,
    },
    /// It is no SQL. The text says where the parser stopped.
    #[error("The SQL text cannot be parsed: {0}")]
    Unparsable(String),
    /// It is blank.
    #[error("The SQL text is empty: send at least one statement")]
    Empty,
    /// It is longer than [`MAX_SQL_BYTES`].
    #[error("The SQL text is longer than 16 MiB: split it into several requests")]
    TooLong,
    /// No parser could be had; the caller may try again.
    #[error("The SQL parser is not available at the moment: try again")]
    Unavailable,
}

/// Reads SQL texts. Clones share one bound on concurrent parsing.
#[derive(Debug, Clone)]
pub struct Guard {
    permits: Arc<Semaphore>,
}

impl Guard {
    /// A guard that parses at most `parallel` texts at a time; further ones wait.
    pub fn new(parallel: usize) -> Self {
        Self {
            permits: Arc::new(Semaphore::new(parallel.max(1))),
        }
    }

    /// The statements of `sql`, if the rules of `profile` admit all of them.
    pub async fn check(&self, profile: Profile, sql: String) -> Result<Script, Refusal> {
        self.parse(sql, Some(profile)).await
    }

    /// The statements of `sql` without asking the rules: for telling what a text contains, never
    /// for running it.
    pub async fn analyze(&self, sql: String) -> Result<Script, Refusal> {
        self.parse(sql, None).await
    }

    async fn parse(&self, sql: String, profile: Option<Profile>) -> Result<Script, Refusal> {
        if sql.len() > MAX_SQL_BYTES {
            return Err(Refusal::TooLong);
        }
        if sql.trim().is_empty() {
            return Err(Refusal::Empty);
        }
        let permit = Arc::clone(&self.permits)
            .acquire_owned()
            .await
            .map_err(|_| Refusal::Unavailable)?;
        let (answer, result) = oneshot::channel();
        let work = move || {
            let parsed = parse_now(&sql, profile);
            // The permit lives as long as the work, not as long as the caller's patience.
            drop(permit);
            // Nobody waits any more when the caller went away.
            let _ = answer.send(parsed);
        };
        thread::Builder::new()
            .name("sql-parser".to_owned())
            .stack_size(STACK)
            .spawn(work)
            .map_err(|error| {
                tracing::error!(%error, "cannot start a parser thread");
                Refusal::Unavailable
            })?;
        result.await.map_err(|_| Refusal::Unavailable)?
    }
}

fn parse_now(sql: &str, profile: Option<Profile>) -> Result<Script, Refusal> {
    // Whatever it does not understand is for the parser.
    let read = catch_unwind(AssertUnwindSafe(|| pieces::read(sql, profile)));
    if let Ok(Some(script)) = read {
        return Ok(script);
    }
    // The parser library panics on some trees that its own grammar can produce.
    catch_unwind(AssertUnwindSafe(|| parse_whole(sql, profile)))
        .unwrap_or_else(|_| Err(Refusal::Unparsable("unsupported statement".to_owned())))
}

pub(crate) fn parse_whole(sql: &str, profile: Option<Profile>) -> Result<Script, Refusal> {
    let parsed = parser::parse(sql).map_err(|error| Refusal::Unparsable(complaint(&error)))?;
    if let Some(profile) = profile {
        inspect::inspect(profile, &parsed.protobuf)?;
    }
    Ok(Script::of(sql, &parsed.protobuf))
}

/// The parser's own words, without the library's prefix.
fn complaint(error: &pg_query::Error) -> String {
    match error {
        pg_query::Error::Parse(message) => message.clone(),
        pg_query::Error::Conversion(_) => "the text contains a NUL character".to_owned(),
        other => other.to_string(),
    }
}
