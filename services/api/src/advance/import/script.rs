//! Cuts a dump into parts that fit into memory: batches of statements, and the lines of
//! `COPY ... FROM STDIN`. Runs where blocking is fine.

use std::io::{self, Read};

use ingot_sql_guard::MAX_SQL_BYTES;

use super::lexer::{End, Lexer};
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
    /// What was read and not yet given out.
    buffer: Vec<u8>,
    /// Bytes of the buffer that the lexer has seen.
    seen: usize,
    /// Where the current statement begins in the buffer, without spaces and comments before it.
    start: Option<usize>,
    ended: bool,
    /// Whether the very beginning is behind.
    begun: bool,
    /// Whether there were only spaces so far.
    blank: bool,
    lexer: Lexer,
    line: u64,
    statement_line: u64,
    batch: Batch,
    mode: Mode,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Statements,
    /// The statement of a `COPY` is due.
    CopyStatement,
    /// The rest of the line of the `COPY` statement is due, which is not data.
    CopyHeader,
    /// Lines of data; whether the next byte begins one.
    CopyLines {
        at_start: bool,
    },
}

impl<R: Read> Script<R> {
    pub(super) fn new(source: R) -> Self {
        Self {
            source,
            buffer: Vec::with_capacity(2 * CHUNK),
            seen: 0,
            start: None,
            ended: false,
            begun: false,
            blank: true,
            lexer: Lexer::new(),
            line: 1,
            statement_line: 1,
            batch: Batch::default(),
            mode: Mode::Statements,
        }
    }

    /// The next part; `None` at the end.
    pub(super) fn next_part(&mut self) -> Result<Option<Part>, ScriptError> {
        loop {
            let part = match self.mode {
                Mode::Statements => self.statements()?,
                Mode::CopyStatement => self.copy_statement()?,
                Mode::CopyHeader => self.copy_header(),
                Mode::CopyLines { at_start } => self.copy_lines(at_start),
            };
            if part.is_some() {
                return Ok(part);
            }
            if self.ended {
                return Ok(self.rest());
            }
            // The lexer has seen every byte, or a line is not complete yet.
            self.read()?;
            while !self.begun {
                self.read()?;
            }
        }
    }

    fn read(&mut self) -> Result<(), ScriptError> {
        let used = self.buffer.len();
        self.buffer.resize(used + CHUNK, 0);
        let count = loop {
            match self
                .source
                .read(self.buffer.get_mut(used..).unwrap_or_default())
            {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read?,
            }
        };
        self.buffer.truncate(used + count);
        // A byte order mark may come in pieces.
        if !self.begun && (self.buffer.len() >= BYTE_ORDER_MARK.len() || count == 0) {
            self.begun = true;
            if self.buffer.starts_with(BYTE_ORDER_MARK) {
                self.buffer.drain(..BYTE_ORDER_MARK.len());
            }
        }
        self.ended = count == 0;
        let news = self.buffer.get(used.min(self.buffer.len())..);
        self.blank &= news.unwrap_or_default().iter().all(u8::is_ascii_whitespace);
        if self.ended && self.blank {
            return Err(ScriptError::Empty);
        }
        Ok(())
    }

    /// Lets the lexer see what is there until a batch is full or a `COPY` begins.
    fn statements(&mut self) -> Result<Option<Part>, ScriptError> {
        while let Some(rest) = self.buffer.get(self.seen..) {
            let (passed, rest) = rest.split_at(self.lexer.idle(rest).min(rest.len()));
            let newlines = passed.iter().map(|byte| u64::from(*byte == b'\n'));
            self.line += newlines.sum::<u64>();
            self.seen += passed.len();
            let Some(&byte) = rest.first() else { break };
            let before = self.lexer.has_started();
            let end = self.lexer.take(byte);
            if self.start.is_none() && !before && (self.lexer.has_started() || end.is_some()) {
                self.start = Some(self.seen);
                self.statement_line = self.line;
            }
            self.seen += 1;
            self.line += u64::from(byte == b'\n');
            if let Some(end) = end
                && let Some(part) = self.boundary(end)?
            {
                return Ok(Some(part));
            }
        }
        // Spaces and comments between statements need not be kept.
        let kept = self.start.unwrap_or(self.seen);
        self.buffer.drain(..kept);
        self.seen -= kept;
        self.start = self.start.map(|_| 0);
        if self.seen > MAX_SQL_BYTES {
            return Err(ScriptError::TooLong(self.statement_line));
        }
        if !self.ended {
            return Ok(None);
        }
        if self.lexer.has_started() {
            let end = self.lexer.end();
            if let Some(part) = self.boundary(end)? {
                return Ok(Some(part));
            }
        }
        Ok(self.full_batch(0))
    }

    /// Takes the statement that ends here.
    fn boundary(&mut self, end: End) -> Result<Option<Part>, ScriptError> {
        if end == End::CopyData && !self.batch.lines.is_empty() {
            // First what comes before it.
            self.mode = Mode::CopyStatement;
            return Ok(self.full_batch(0));
        }
        match end {
            End::CopyData => self.copy_statement(),
            End::Command => {
                let command = self.statement()?;
                let harmless = |known: &&[u8]| command.as_bytes().starts_with(known);
                if HARMLESS_COMMANDS.iter().any(harmless) {
                    return Ok(None);
                }
                Err(ScriptError::Command {
                    line: self.statement_line,
                    command: command
                        .split_whitespace()
                        .next()
                        .unwrap_or_default()
                        .to_owned(),
                })
            }
            End::Statement => {
                let statement = self.statement()?;
                let bare = statement.strip_suffix(';').unwrap_or(&statement);
                let of_public = |known: &&[u8]| statement.as_bytes().starts_with(known);
                let skipped =
                    PREAMBLE.contains(&bare.as_bytes()) || OF_PUBLIC.iter().any(of_public);
                if !bare.is_empty() && !skipped {
                    self.batch.sql.push_str(&statement);
                    self.batch.sql.push('\n');
                    self.batch.lines.push(self.statement_line);
                }
                Ok(self.full_batch(BATCH))
            }
        }
    }

    fn copy_statement(&mut self) -> Result<Option<Part>, ScriptError> {
        let sql = self.statement()?;
        self.mode = Mode::CopyHeader;
        Ok(Some(Part::Copy(Batch {
            sql,
            lines: vec![self.statement_line],
        })))
    }

    /// The text of the statement that the lexer has just seen.
    fn statement(&mut self) -> Result<String, ScriptError> {
        let start = self.start.take().unwrap_or(self.seen);
        let text = self.buffer.get(start..self.seen).unwrap_or_default();
        let text =
            std::str::from_utf8(text).map_err(|_| ScriptError::Encoding(self.statement_line))?;
        let text = text.trim_end().to_owned();
        // Moving the rest of the buffer after every statement would cost more than the parsing.
        if self.seen > CHUNK {
            self.buffer.drain(..self.seen);
            self.seen = 0;
        }
        Ok(text)
    }

    /// The batch, if it is at least that large or has enough statements.
    fn full_batch(&mut self, size: usize) -> Option<Part> {
        let full = self.batch.sql.len() >= size || self.batch.lines.len() >= MAX_STATEMENTS;
        (full && !self.batch.lines.is_empty())
            .then(|| Part::Statements(std::mem::take(&mut self.batch)))
    }

    /// What is left when the file has ended.
    fn rest(&mut self) -> Option<Part> {
        let mode = std::mem::replace(&mut self.mode, Mode::Statements);
        (mode != Mode::Statements).then_some(Part::CopyEnd)
    }

    /// Skips to the end of the line.
    fn copy_header(&mut self) -> Option<Part> {
        let rest = self.buffer.get(self.seen..).unwrap_or_default();
        let skipped = rest.iter().position(|byte| *byte == b'\n').map(|at| at + 1);
        self.line += u64::from(skipped.is_some());
        if skipped.is_some() {
            self.mode = Mode::CopyLines { at_start: true };
        }
        let taken = self.seen + skipped.unwrap_or(rest.len());
        self.buffer.drain(..taken);
        self.seen = 0;
        if skipped.is_some() {
            return self.copy_lines(true);
        }
        None
    }

    /// The complete lines that are there, up to the one that says that no more come.
    fn copy_lines(&mut self, mut at_start: bool) -> Option<Part> {
        let mut taken = 0;
        let mut done = false;
        while let Some(rest) = self.buffer.get(taken..)
            && !rest.is_empty()
        {
            let end = rest.iter().position(|byte| *byte == b'\n');
            let line = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default();
            let bare = line.strip_suffix(b"\r").unwrap_or(line);
            if at_start && bare == b"\\." && (end.is_some() || self.ended) {
                done = true;
                break;
            }
            // The start of a line may become the end mark.
            if end.is_none() && at_start && line.len() < 4 && !self.ended {
                break;
            }
            taken += end.map_or(rest.len(), |end| end + 1);
            self.line += u64::from(end.is_some());
            at_start = end.is_some();
        }
        self.mode = Mode::CopyLines { at_start };
        if taken > 0 {
            let rest = self.buffer.split_off(taken);
            return Some(Part::CopyData(std::mem::replace(&mut self.buffer, rest)));
        }
        if !done {
            return None;
        }
        let end = self.buffer.iter().position(|byte| *byte == b'\n');
        self.line += u64::from(end.is_some());
        self.buffer
            .drain(..end.map_or(self.buffer.len(), |end| end + 1));
        self.mode = Mode::Statements;
        Some(Part::CopyEnd)
    }
}

#[cfg(test)]
mod tests {
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
    fn data_may_end_with_the_file() {
        for (tail, data) in [("a", "a"), ("a\n", "a\n"), ("a\n\\.", "a\n")] {
            let found = parts(&format!("COPY t FROM stdin;\n{tail}"), 1).unwrap();
            assert_eq!(found.get(1), Some(&Part::CopyData(data.into())), "{tail}");
            assert_eq!(found.last(), Some(&Part::CopyEnd), "{tail}");
            assert_eq!(found.len(), 3, "{tail}");
        }
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
