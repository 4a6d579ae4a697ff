//! Finds where a statement of an SQL script ends, byte by byte, by the rules of PostgreSQL's own
//! lexer and of psql (`psqlscan.l`), which agree with the server on every dump.
//!
//! A boundary decides only what is looked at together: what the guard admitted is what runs, so a
//! text that fools this lexer fools nobody else.

/// What comes after a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// The next statement.
    Statement,
    /// The lines of a `COPY ... FROM STDIN`.
    CopyData,
    /// The statement was a line for psql, such as `\connect`.
    Command,
}

/// Words of a statement that matter: `create or replace function`.
const LEADING_WORDS: usize = 4;

/// Longest word that matters, in bytes.
const MAX_WORD: usize = 16;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Plain,
    LineComment,
    /// Nesting depth; block comments nest.
    BlockComment(u32),
    /// In a string; whether backslashes escape.
    Text(bool),
    /// After a backslash in such a string.
    Escaped,
    /// After the quote that ends such a string, unless it goes on: at once, or after a line end.
    Ended {
        spaced: bool,
        newline: bool,
    },
    QuotedName,
    /// Reading what may become a dollar quote's tag.
    DollarTag,
    /// In a dollar quote; how many bytes of its end have been seen.
    Dollar(usize),
    /// In a line for psql.
    Command,
}

/// State between two bytes of a script.
#[derive(Debug)]
pub(super) struct Lexer {
    state: State,
    previous: u8,
    word: Vec<u8>,
    /// Length of the word as it stands, also beyond what is kept.
    word_length: usize,
    words: Vec<Vec<u8>>,
    tag: Vec<u8>,
    parentheses: u32,
    /// Depth of `BEGIN ... END` in a function's body in the standard's syntax.
    bodies: u32,
    started: bool,
    from: bool,
    from_stdin: bool,
}

impl Lexer {
    pub(super) fn new() -> Self {
        Self {
            state: State::Plain,
            previous: 0,
            word: Vec::new(),
            word_length: 0,
            words: Vec::new(),
            tag: Vec::new(),
            parentheses: 0,
            bodies: 0,
            started: false,
            from: false,
            from_stdin: false,
        }
    }

    /// Whether the current statement has any byte that is neither a space nor a comment.
    pub(super) fn has_started(&self) -> bool {
        self.started
    }

    /// How many bytes at the beginning of `rest` change nothing: the inside of texts and comments,
    /// which is most of a dump.
    pub(super) fn idle(&self, rest: &[u8]) -> usize {
        let end = match self.state {
            State::Text(false) => b'\'',
            State::QuotedName => b'"',
            State::LineComment => b'\n',
            _ => return 0,
        };
        let end = rest.iter().position(|byte| *byte == end);
        end.unwrap_or(rest.len())
    }

    /// Takes the next byte; says so if it ends a statement.
    pub(super) fn take(&mut self, byte: u8) -> Option<End> {
        let previous = std::mem::replace(&mut self.previous, byte);
        match self.state {
            State::Plain => return self.plain(previous, byte),
            State::LineComment if byte == b'\n' => self.state = State::Plain,
            State::BlockComment(depth) => self.block_comment(depth, previous, byte),
            State::Text(escapes) => match byte {
                b'\'' if escapes => {
                    self.state = State::Ended {
                        spaced: false,
                        newline: false,
                    };
                }
                // A doubled quote ends one string and begins the next.
                b'\'' => self.state = State::Plain,
                b'\\' if escapes => self.state = State::Escaped,
                _ => {}
            },
            State::Ended { spaced, newline } => match byte {
                b'\'' if newline || !spaced => self.state = State::Text(true),
                byte if byte.is_ascii_whitespace() => {
                    self.state = State::Ended {
                        spaced: true,
                        newline: newline || byte == b'\n',
                    };
                }
                _ => {
                    self.state = State::Plain;
                    return self.plain(previous, byte);
                }
            },
            State::Escaped => self.state = State::Text(true),
            State::QuotedName if byte == b'"' => self.state = State::Plain,
            State::DollarTag => return self.dollar_tag(byte),
            State::Dollar(seen) => self.dollar(seen, byte),
            State::Command if byte == b'\n' => return Some(self.finish(End::Command)),
            State::LineComment | State::QuotedName | State::Command => {}
        }
        None
    }

    /// The end of the script, which also ends a line for psql.
    pub(super) fn end(&mut self) -> End {
        match self.state {
            State::Command => self.finish(End::Command),
            _ => self.finish(End::Statement),
        }
    }

    fn plain(&mut self, previous: u8, byte: u8) -> Option<End> {
        if is_word(byte) || (self.word_length > 0 && (byte == b'$' || byte.is_ascii_digit())) {
            self.started = true;
            self.word_length += 1;
            if self.word.len() < MAX_WORD {
                self.word.push(byte.to_ascii_lowercase());
            }
            return None;
        }
        let escapes = byte == b'\'' && self.word == b"e";
        self.end_word();
        match (previous, byte) {
            (b'-', b'-') => self.state = State::LineComment,
            (b'/', b'*') => {
                self.state = State::BlockComment(1);
                self.previous = 0;
            }
            (_, b'\'') => self.state = State::Text(escapes),
            (_, b'"') => self.state = State::QuotedName,
            (_, b'$') => {
                self.state = State::DollarTag;
                self.tag.clear();
            }
            (_, b'(') => self.parentheses += 1,
            (_, b')') => self.parentheses = self.parentheses.saturating_sub(1),
            (_, b'\\') if !self.started => self.state = State::Command,
            (_, b';') if self.parentheses == 0 && self.bodies == 0 => {
                let end = if self.from_stdin {
                    End::CopyData
                } else {
                    End::Statement
                };
                return Some(self.finish(end));
            }
            _ => {}
        }
        let comment = matches!(self.state, State::LineComment | State::BlockComment(_));
        self.started |= !(comment || byte.is_ascii_whitespace() || matches!(byte, b'-' | b'/'));
        None
    }

    /// Keeps what matters of the word that ended.
    fn end_word(&mut self) {
        let whole = self.word.len() == self.word_length;
        let word = std::mem::take(&mut self.word);
        if std::mem::take(&mut self.word_length) == 0 {
            return;
        }
        if whole && self.parentheses == 0 {
            match word.as_slice() {
                b"begin" if self.defines_routine() => self.bodies += 1,
                b"case" if self.bodies > 0 => self.bodies += 1,
                b"end" => self.bodies = self.bodies.saturating_sub(1),
                b"from" => self.from = true,
                b"stdin" if self.from && self.is_copy() => self.from_stdin = true,
                _ => {}
            }
        }
        if self.words.len() < LEADING_WORDS {
            self.words.push(word);
        }
    }

    fn is_copy(&self) -> bool {
        self.words.first().is_some_and(|word| word == b"copy")
    }

    fn defines_routine(&self) -> bool {
        let words: Vec<&[u8]> = self.words.iter().map(Vec::as_slice).collect();
        matches!(
            words.as_slice(),
            [b"create", b"function" | b"procedure", ..]
                | [b"create", b"or", b"replace", b"function" | b"procedure"]
        )
    }

    fn block_comment(&mut self, depth: u32, previous: u8, byte: u8) {
        let depth = match (previous, byte) {
            (b'/', b'*') => depth + 1,
            (b'*', b'/') => depth - 1,
            _ => return,
        };
        // Neither half of a mark is part of the next one.
        self.previous = 0;
        self.state = if depth == 0 {
            State::Plain
        } else {
            State::BlockComment(depth)
        };
    }

    fn dollar_tag(&mut self, byte: u8) -> Option<End> {
        if byte == b'$' {
            self.state = State::Dollar(0);
        } else if is_word(byte) || (byte.is_ascii_digit() && !self.tag.is_empty()) {
            self.tag.push(byte);
        } else {
            // A parameter or an operator.
            self.state = State::Plain;
            return self.plain(b'$', byte);
        }
        None
    }

    /// `seen` counts the first `$` and the bytes of the tag.
    fn dollar(&mut self, seen: usize, byte: u8) {
        let complete = seen == self.tag.len() + 1;
        self.state = match byte {
            b'$' if complete => State::Plain,
            b'$' => State::Dollar(1),
            _ if seen > 0 && self.tag.get(seen - 1) == Some(&byte) => State::Dollar(seen + 1),
            _ => State::Dollar(0),
        };
    }

    fn finish(&mut self, end: End) -> End {
        *self = Self::new();
        end
    }
}

/// What a name may begin with. Every byte beyond ASCII may be part of one.
fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || byte >= 0x80
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(sql: &str) -> Vec<(String, End)> {
        let mut lexer = Lexer::new();
        let mut parts = Vec::new();
        let mut text = Vec::new();
        for byte in sql.bytes() {
            text.push(byte);
            if let Some(end) = lexer.take(byte) {
                parts.push((text, end));
                text = Vec::new();
            }
        }
        if lexer.has_started() {
            parts.push((text, lexer.end()));
        }
        parts
            .into_iter()
            .map(|(text, end)| (String::from_utf8(text).unwrap().trim().to_owned(), end))
            .collect()
    }

    #[test]
    fn statements_end_where_postgresql_ends_them() {
        for whole in [
            "SELECT ';', E'\\';', \"a;b\", 'it''s; fine';",
            "SELECT 'a\\';",
            "SELECT E'it''s \\';', E'a'\n '\\';' , E'a' '\\';",
            "SELECT $$;$$, $a$ $b$; $ $a$, $1;",
            "SELECT a$b$c, 1;",
            "SELECT $a$ $a $a;$a$;",
            "SELECT 1 -- no; end\n;",
            "SELECT 1 /* no /* end; */ ; */;",
            "SELECT 1 /*/ ; */;",
            "SELECT 5 - -1 / 2;",
            "CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2);",
            "CREATE FUNCTION f() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT 1; SELECT CASE WHEN true THEN 1 END; END;",
            "CREATE OR REPLACE PROCEDURE p() BEGIN ATOMIC INSERT INTO t VALUES (1); END;",
            "CREATE TABLE t (\"begin\" int, a int);",
            "SELECT 'ü;', \"ß;\", ü;",
            "SELECT case_begin FROM begin;",
        ] {
            assert_eq!(cut(whole), [(whole.to_owned(), End::Statement)]);
        }
    }

    #[test]
    fn what_follows_a_statement_is_told() {
        let sql = "\\restrict x\nCOPY public.t (a, stdin) FROM stdin;\nCOPY (SELECT 1 FROM stdin) TO STDOUT; ; -- x\nSELECT 1";
        let ends: Vec<_> = cut(sql).into_iter().map(|(_, end)| end).collect();
        assert_eq!(
            ends,
            [
                End::Command,
                End::CopyData,
                End::Statement,
                End::Statement,
                End::Statement
            ]
        );
        assert_eq!(
            cut("copy t from STDIN with (format csv);")[0].1,
            End::CopyData
        );
        assert_eq!(cut("copy t to stdout;")[0].1, End::Statement);
        assert!(cut("-- nothing\n/* at; all */ ").is_empty());
    }
}
