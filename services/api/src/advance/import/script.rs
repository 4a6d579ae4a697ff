//! Cuts a dump into parts that fit into memory: batches of statements, and the lines of
//! `COPY ... FROM STDIN`. Runs where blocking is fine.

use std::io::Read;

use ingot_sql_guard::{MAX_SQL_BYTES, boundary};

use super::part::{Batch, Part, ScriptError};

/// Bytes of statements that are parsed and sent together; a longer statement goes alone.
const BATCH: usize = 128 * 1024;

/// Statements that are sent together.
const MAX_STATEMENTS: usize = 500;

/// Bytes that are read, and of `COPY` lines that are sent, at a time.
const CHUNK: usize = 64 * 1024;

/// What `pg_dump` prints before everything else and what an import does by itself: the session has
/// its own limits, and the dump's names carry their schemas.
const PREAMBLE: &[&[u8]] = &[
    b"SET statement_timeout = 0",
    b"SET transaction_timeout = 0",
    b"SELECT pg_catalog.set_config('search_path', '', false)",
];

/// What dumps say about the schema that every project has, and that is not theirs to change.
const OF_PUBLIC: &[&[u8]] = &[b"CREATE SCHEMA public;", b"COMMENT ON SCHEMA public IS "];

/// Lines for psql that a dump may have; they say nothing to the server.
const HARMLESS_COMMANDS: &[&[u8]] = &[b"\\restrict", b"\\unrestrict"];

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A dump that is being cut.
#[derive(Debug)]
pub(super) struct Script<R> {
    source: R,
    /// What was read and is still of use.
    buffer: Vec<u8>,
    /// Bytes of the buffer that were given out.
    at: usize,
    /// Whether the very beginning is behind.
    begun: bool,
    ended: bool,
    /// Whether there were only spaces so far.
    blank: bool,
    /// The line on which the next byte stands.
    line: u64,
    batch: Batch,
    mode: Mode,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Statements,
    /// The rest of the line of the `COPY` statement is due, which is not data.
    CopyHeader {
        line: u64,
    },
    /// Lines of data of the `COPY` on that line; whether the next byte begins one.
    CopyLines {
        line: u64,
        at_start: bool,
    },
}

impl<R: Read> Script<R> {
    pub(super) fn new(source: R) -> Self {
        Self {
            source,
            buffer: Vec::with_capacity(2 * CHUNK),
            at: 0,
            begun: false,
            ended: false,
            blank: true,
            line: 1,
            batch: Batch::default(),
            mode: Mode::Statements,
        }
    }

    /// The next part; `None` at the end.
    pub(super) fn next_part(&mut self) -> Result<Option<Part>, ScriptError> {
        loop {
            let part = match self.mode {
                Mode::Statements => self.statements()?,
                Mode::CopyHeader { line } => self.copy_header(line),
                Mode::CopyLines { line, at_start } => self.copy_lines(line, at_start),
            };
            if part.is_some() {
                return Ok(part);
            }
            if self.ended {
                return match self.mode {
                    Mode::Statements => Ok(None),
                    Mode::CopyHeader { line } | Mode::CopyLines { line, .. } => {
                        Err(ScriptError::OpenCopy(line))
                    }
                };
            }
            self.read()?;
        }
    }

    fn waiting(&self) -> &[u8] {
        self.buffer.get(self.at..).unwrap_or_default()
    }

    /// Leaves bytes behind.
    fn pass(&mut self, count: usize) {
        let passed = self.waiting().iter().take(count);
        self.line += passed.map(|byte| u64::from(*byte == b'\n')).sum::<u64>();
        self.at += count;
    }

    /// Reads as much again as already waits: what waits has no end yet and is looked at once more.
    fn read(&mut self) -> Result<(), ScriptError> {
        self.buffer.drain(..self.at);
        self.at = 0;
        let waiting = self.buffer.len();
        let wanted = waiting.clamp(CHUNK, MAX_SQL_BYTES);
        let limit = u64::try_from(wanted).unwrap_or(u64::MAX);
        let count = (&mut self.source)
            .take(limit)
            .read_to_end(&mut self.buffer)?;
        self.ended = count < wanted;
        let news = self.buffer.get(waiting..).unwrap_or_default();
        self.blank &= news.iter().all(u8::is_ascii_whitespace);
        if !std::mem::replace(&mut self.begun, true) && self.buffer.starts_with(BYTE_ORDER_MARK) {
            self.at = BYTE_ORDER_MARK.len();
        }
        if self.ended && self.blank {
            return Err(ScriptError::Empty);
        }
        // It ends the last line, which may be a comment.
        if self.ended {
            self.buffer.push(b'\n');
        }
        Ok(())
    }

    /// Takes statements until a batch is full or a `COPY` begins.
    fn statements(&mut self) -> Result<Option<Part>, ScriptError> {
        loop {
            self.pass(boundary::gap(self.waiting()));
            let rest = self.waiting();
            let end = match rest.first() {
                Some(b'\\') => rest.iter().position(|byte| *byte == b'\n').map(|at| at + 1),
                _ => boundary::statement(rest),
            };
            // The last statement may end with the dump.
            let last = (self.ended && !rest.is_empty()).then_some(rest.len());
            let length = match (end.or(last), rest.len()) {
                (Some(length), _) if length <= MAX_SQL_BYTES => length,
                (None, 0) if self.ended => return Ok(self.full_batch(0)),
                (None, 0..=MAX_SQL_BYTES) => return Ok(None),
                _ => return Err(ScriptError::TooLong(self.line)),
            };
            if let Some(part) = self.statement(length)? {
                return Ok(Some(part));
            }
        }
    }

    /// Takes the statement, or the line for psql, of that length.
    fn statement(&mut self, length: usize) -> Result<Option<Part>, ScriptError> {
        let line = self.line;
        let text = self.waiting().get(..length).unwrap_or_default();
        let copies = boundary::reads_rows(text);
        if copies && !self.batch.lines.is_empty() {
            // First what comes before it.
            return Ok(self.full_batch(0));
        }
        let text = std::str::from_utf8(text).map_err(|_| ScriptError::Encoding(line))?;
        let text = text.trim_end().to_owned();
        self.pass(length);
        if copies {
            self.mode = Mode::CopyHeader { line };
            return Ok(Some(Part::Copy(Batch {
                sql: text,
                lines: vec![line],
            })));
        }
        if text.starts_with('\\') {
            return command(&text, line).map(|()| None);
        }
        let bare = text.strip_suffix(';').unwrap_or(&text).as_bytes();
        let of_public = |known: &&[u8]| text.as_bytes().starts_with(known);
        if !PREAMBLE.contains(&bare) && !OF_PUBLIC.iter().any(of_public) {
            self.batch.sql.push_str(&text);
            self.batch.sql.push('\n');
            self.batch.lines.push(line);
        }
        Ok(self.full_batch(BATCH))
    }

    /// The batch, if it is at least that large or has enough statements.
    fn full_batch(&mut self, size: usize) -> Option<Part> {
        let full = self.batch.sql.len() >= size || self.batch.lines.len() >= MAX_STATEMENTS;
        (full && !self.batch.lines.is_empty())
            .then(|| Part::Statements(std::mem::take(&mut self.batch)))
    }

    /// Skips to the end of the line.
    fn copy_header(&mut self, line: u64) -> Option<Part> {
        let rest = self.waiting();
        let end = rest.iter().position(|byte| *byte == b'\n');
        self.pass(end.map_or(rest.len(), |end| end + 1));
        end?;
        self.copy_lines(line, true)
    }

    /// The lines that are there, up to the one that says that no more come.
    fn copy_lines(&mut self, line: u64, mut at_start: bool) -> Option<Part> {
        let (mut taken, mut end_mark) = (0, None);
        while let Some(rest) = self.waiting().get(taken..)
            && !rest.is_empty()
        {
            let end = rest.iter().position(|byte| *byte == b'\n');
            let bare = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default();
            let bare = bare.strip_suffix(b"\r").unwrap_or(bare);
            if let Some(end) = end
                && at_start
                && bare == b"\\."
            {
                end_mark = Some(end + 1);
                break;
            }
            // The start of a line may become the end mark.
            if end.is_none() && at_start && rest.len() < 4 {
                break;
            }
            taken += end.map_or(rest.len(), |end| end + 1);
            at_start = end.is_some();
        }
        if taken > 0 {
            self.mode = Mode::CopyLines { line, at_start };
            let data = self.waiting().get(..taken).unwrap_or_default().to_vec();
            self.pass(taken);
            return Some(Part::CopyData(data));
        }
        if let Some(length) = end_mark {
            self.pass(length);
            self.mode = Mode::Statements;
            return Some(Part::CopyEnd);
        }
        self.mode = Mode::CopyLines { line, at_start };
        None
    }
}

/// Lines for psql are refused, unless they say nothing.
fn command(text: &str, line: u64) -> Result<(), ScriptError> {
    let harmless = |known: &&[u8]| text.as_bytes().starts_with(known);
    if HARMLESS_COMMANDS.iter().any(harmless) {
        return Ok(());
    }
    let command = text
        .split_whitespace()
        .next()
        .unwrap_or_default()
        .to_owned();
    Err(ScriptError::Command { line, command })
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    /// Gives out a few bytes at a time, so that every cut is met.
    struct Drip<'a>(&'a [u8], usize);

    impl Read for Drip<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let count = self.1.min(self.0.len()).min(buffer.len());
            let (now, later) = self.0.split_at(count);
            buffer[..count].copy_from_slice(now);
            self.0 = later;
            Ok(count)
        }
    }

    /// The parts, with neighbouring data joined.
    fn parts(dump: &str, drip: usize) -> Result<Vec<Part>, ScriptError> {
        let mut script = Script::new(Drip(dump.as_bytes(), drip));
        let mut parts: Vec<Part> = Vec::new();
        while let Some(part) = script.next_part()? {
            match (parts.last_mut(), part) {
                (Some(Part::CopyData(data)), Part::CopyData(more)) => data.extend(more),
                (_, part) => parts.push(part),
            }
        }
        Ok(parts)
    }

    fn batch(sql: &str, lines: &[u64]) -> Batch {
        Batch {
            sql: sql.to_owned(),
            lines: lines.to_vec(),
        }
    }

    const DUMP: &str = "\u{feff}--\n-- PostgreSQL database dump\n--\n\\restrict abc\nSET statement_timeout = 0;\n\
        SELECT pg_catalog.set_config('search_path', '', false);\nCREATE SCHEMA public; \
        COMMENT ON SCHEMA public IS 'standard public schema';CREATE TABLE t (a text);\n\n\
        -- data\nCOPY t (a) FROM stdin;\nx;y\n\\.z\n\n'\n\\.\n\nINSERT INTO t VALUES ('ü;\n'); \
        SELECT 1;;\nCOPY t (a) FROM stdin;\r\n\\.\r\n SELECT 2 -- end";

    #[test]
    fn a_dump_is_cut_the_same_way_however_it_arrives() {
        let expected = [
            Part::Statements(batch("CREATE TABLE t (a text);\n", &[7])),
            Part::Copy(batch("COPY t (a) FROM stdin;", &[10])),
            Part::CopyData(b"x;y\n\\.z\n\n'\n".to_vec()),
            Part::CopyEnd,
            Part::Statements(batch(
                "INSERT INTO t VALUES ('ü;\n');\nSELECT 1;\n",
                &[17, 18],
            )),
            Part::Copy(batch("COPY t (a) FROM stdin;", &[19])),
            Part::CopyEnd,
            Part::Statements(batch("SELECT 2 -- end\n", &[21])),
        ];
        for drip in [1, 2, 3, 7, 64, 100_000] {
            assert_eq!(parts(DUMP, drip).unwrap(), expected, "{drip}");
        }
    }

    #[test]
    fn rows_without_an_end_are_refused() {
        for tail in ["", "\na", "\na\n", "\na\n\\", "\n\\.b\n"] {
            let dump = format!("SELECT 1;\nCOPY t FROM stdin;{tail}");
            let refused = parts(&dump, 1);
            assert!(matches!(refused, Err(ScriptError::OpenCopy(2))), "{tail}");
        }
        let whole = parts("COPY t FROM stdin;\na\n\\.", 1).unwrap();
        assert_eq!(whole.last(), Some(&Part::CopyEnd));
    }

    #[test]
    fn batches_are_bounded() {
        let dump = "INSERT INTO t VALUES (1);\n".repeat(20_000);
        let found = parts(&dump, 5000).unwrap();
        let mut statements = 0;
        for part in found {
            let Part::Statements(batch) = part else {
                panic!("{part:?}")
            };
            assert!(batch.sql.len() < BATCH + 100 && batch.lines.len() <= MAX_STATEMENTS);
            statements += batch.lines.len();
        }
        assert_eq!(statements, 20_000);
        let long = format!("SELECT 1;\nSELECT '{}'", "x".repeat(MAX_SQL_BYTES + CHUNK));
        assert!(matches!(
            parts(&long, 100_000),
            Err(ScriptError::TooLong(2))
        ));
    }

    #[test]
    fn commands_for_psql_are_refused() {
        let refused = parts("SELECT 1;\n\\connect other\nSELECT 2", 9);
        assert!(
            matches!(refused, Err(ScriptError::Command { line: 2, command }) if command == "\\connect")
        );
    }
}
