//! PostgreSQL's parser, one text at a time.
//!
//! While the C library parses, the standard error of the whole process is a pipe of its own. Two at
//! once would each put back what they found, and could leave the other's closed pipe there, which
//! swallows everything that the process says with its last breath. Long texts come in pieces
//! (`pieces`), so others wait for one piece; a single long statement has no pieces, and they wait for
//! it as long as it is parsed (about 25 ms for 1 MB).

use std::sync::{Mutex, PoisonError};

use pg_query::ParseResult;

static ALONE: Mutex<()> = Mutex::new(());

/// The syntax tree of a text.
pub(crate) fn parse(text: &str) -> pg_query::Result<ParseResult> {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    pg_query::parse(text, 0)
}

/// The statements of a text, which was parsed for it.
pub(crate) fn split(text: &str) -> pg_query::Result<Vec<&str>> {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    pg_query::split_with_parser(text)
}
