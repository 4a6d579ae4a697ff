//! Where statements end in a text, by the rules of PostgreSQL's scanner and of psql's, so that a long
//! text can be read piece by piece.
//!
//! A boundary decides only what is looked at together: what the guard admitted is what runs, so a
//! text that fools this scanner fools nobody else.

use crate::reader::is_space;

/// How many bytes at the beginning of `text` are spaces, comments and empty statements. A comment
/// whose end is not there is not among them.
pub fn gap(text: &[u8]) -> usize {
    let mut at = 0;
    loop {
        let rest = text.get(at..).unwrap_or_default();
        let length = match rest {
            [byte, ..] if is_space(*byte) || *byte == b';' => Some(1),
            [b'-', b'-', ..] => Some(line_comment(rest)).filter(|length| *length < rest.len()),
            [b'/', b'*', ..] => block_comment(rest),
            _ => None,
        };
        match length {
            Some(length) => at += length,
            None => return at,
        }
    }
}

/// The length of the statement with which `text` begins, with its `;`; `None` if it has no end
/// before the text's.
pub fn statement(text: &[u8]) -> Option<usize> {
    let mut tokens = Tokens { text, at: 0 };
    let mut open = Open::default();
    loop {
        match tokens.next()? {
            Token::Symbol(b';') if open.is_closed() => return Some(tokens.at),
            Token::Symbol(b'(') => open.parentheses += 1,
            Token::Symbol(b')') => open.parentheses = open.parentheses.saturating_sub(1),
            Token::Word(word) => open.word(word),
            // `begin, atomic` are two names.
            Token::Symbol(_) => open.begins = false,
            Token::Passed => {}
        }
    }
}

/// Whether rows follow a statement in a dump: `COPY ... FROM STDIN`.
pub fn reads_rows(statement: &[u8]) -> bool {
    let mut depth = 0_usize;
    let mut previous: Option<&[u8]> = None;
    for token in (Tokens {
        text: statement,
        at: 0,
    }) {
        match token {
            Token::Symbol(b'(') => depth += 1,
            Token::Symbol(b')') => depth = depth.saturating_sub(1),
            Token::Word(word) if depth == 0 => {
                let is = |keyword: &str| word.eq_ignore_ascii_case(keyword.as_bytes());
                match previous {
                    None if !is("copy") => return false,
                    Some(before) if before.eq_ignore_ascii_case(b"from") && is("stdin") => {
                        return true;
                    }
                    _ => previous = Some(word),
                }
            }
            _ => {}
        }
    }
    false
}

enum Token<'a> {
    Word(&'a [u8]),
    Symbol(u8),
    /// A string, a quoted name, a number, a comment: nothing in it matters.
    Passed,
}

/// The tokens of a text, up to one that has no end in it.
struct Tokens<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        let rest = self.text.get(self.at..)?;
        let spaces = rest.iter().take_while(|byte| is_space(**byte)).count();
        if spaces > 0 {
            self.at += spaces;
            return Some(Token::Passed);
        }
        let mut token = Token::Passed;
        self.at += match rest {
            [] => return None,
            [b'\'', ..] => quoted(rest, b'\'')?,
            [b'"', ..] => quoted(rest, b'"')?,
            [b'$', ..] => dollar_quoted(rest)?,
            [b'-', b'-', ..] => line_comment(rest),
            [b'/', b'*', ..] => block_comment(rest)?,
            [byte, ..] if is_word(*byte) => {
                let (word, after) = rest.split_at_checked(word(rest))?;
                token = Token::Word(word);
                // Backslashes escape in `E'...'` alone.
                match (word, after) {
                    ([b'e' | b'E'], [b'\'', ..]) => 1 + escaped(after)?,
                    _ => word.len(),
                }
            }
            // A number does not begin a word, but goes on like one: `1e'` is none, either.
            [byte, ..] if byte.is_ascii_digit() => word(rest),
            [byte, ..] => {
                token = Token::Symbol(*byte);
                1
            }
        };
        Some(token)
    }
}

/// What keeps a `;` from ending a statement: parentheses, as in `CREATE RULE`, and bodies in the
/// standard's syntax, `BEGIN ATOMIC ... END`.
#[derive(Debug, Default)]
struct Open {
    parentheses: usize,
    bodies: usize,
    /// Whether the last word was `BEGIN`.
    begins: bool,
}

impl Open {
    fn is_closed(&self) -> bool {
        self.parentheses == 0 && self.bodies == 0
    }

    fn word(&mut self, word: &[u8]) {
        // Names are many, and none of these words is longer.
        if word.len() > "atomic".len() {
            self.begins = false;
            return;
        }
        let is = |keyword: &str| word.eq_ignore_ascii_case(keyword.as_bytes());
        if (self.begins && is("atomic")) || (self.bodies > 0 && is("case")) {
            self.bodies += 1;
        } else if is("end") {
            self.bodies = self.bodies.saturating_sub(1);
        }
        self.begins = is("begin");
    }
}

/// What a name may begin with. Every byte beyond ASCII may be part of one.
const fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || !byte.is_ascii()
}

/// Bytes that go on with a name: most of a text.
#[allow(
    clippy::indexing_slicing,
    reason = "it is computed when it is compiled, and would not be"
)]
static IN_WORD: [bool; 256] = {
    let (mut table, mut byte) = ([false; 256], 0);
    while byte < 256 {
        #[allow(clippy::cast_possible_truncation, reason = "it is below 256")]
        let it = byte as u8;
        table[byte] = is_word(it) || it.is_ascii_digit() || it == b'$';
        byte += 1;
    }
    table
};

fn word(text: &[u8]) -> usize {
    let goes_on = |byte: &&u8| IN_WORD.get(usize::from(**byte)).is_some_and(|it| *it);
    text.iter().take_while(goes_on).count()
}

/// Up to the end of the line, which is not part of the comment.
fn line_comment(text: &[u8]) -> usize {
    let in_line = |byte: &&u8| !matches!(**byte, b'\n' | b'\r');
    text.iter().take_while(in_line).count()
}

/// Block comments nest.
fn block_comment(text: &[u8]) -> Option<usize> {
    let (mut depth, mut at) = (0_usize, 0);
    loop {
        at += match text.get(at..)? {
            [] => return None,
            [b'/', b'*', ..] => {
                depth += 1;
                2
            }
            [b'*', b'/', ..] => {
                depth -= 1;
                2
            }
            _ => 1,
        };
        if depth == 0 {
            return Some(at);
        }
    }
}

/// A doubled quote ends one and begins the next, which comes to the same here.
fn quoted(text: &[u8], quote: u8) -> Option<usize> {
    let inside = text.get(1..)?.iter().position(|byte| *byte == quote)?;
    Some(inside + 2)
}

/// A string with escapes, with its quotes. It goes on after a line end, if a quote follows.
fn escaped(text: &[u8]) -> Option<usize> {
    let mut at = 1;
    loop {
        match text.get(at)? {
            b'\\' => at += 2,
            b'\'' => {
                let after = text.get(at + 1..)?;
                let spaces = after.iter().take_while(|byte| is_space(**byte)).count();
                let (passed, next) = after.split_at_checked(spaces)?;
                let goes_on =
                    passed.is_empty() || passed.iter().any(|b| matches!(b, b'\n' | b'\r'));
                if !goes_on || next.first() != Some(&b'\'') {
                    return Some(at + 1);
                }
                at += spaces + 2;
            }
            _ => at += 1,
        }
    }
}

/// `$tag$ ... $tag$`, or the `$` alone if it begins a parameter or an operator.
fn dollar_quoted(text: &[u8]) -> Option<usize> {
    let rest = text.get(1..)?;
    let tag = match rest.first()? {
        b'$' => 0,
        byte if is_word(*byte) => rest
            .iter()
            .position(|byte| !(is_word(*byte) || byte.is_ascii_digit()))?,
        _ => return Some(1),
    };
    let delimiter = text.get(..tag + 2)?;
    if !delimiter.ends_with(b"$") {
        return Some(1);
    }
    let mut at = delimiter.len();
    loop {
        at += text.get(at..)?.iter().position(|byte| *byte == b'$')?;
        if text.get(at..)?.starts_with(delimiter) {
            return Some(at + delimiter.len());
        }
        at += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_end_where_postgresql_ends_them() {
        for whole in [
            "SELECT ';', E'\\';', \"a;b\", 'it''s; fine';",
            "SELECT 'a\\';",
            "SELECT E'it''s \\';', 'é;', é;",
            "SELECT E'a'\n '\\';', E'a' '\\';",
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
            "COPY t (begin, atomic) FROM stdin;",
        ] {
            let two = format!("{whole} SELECT 2");
            assert_eq!(statement(two.as_bytes()), Some(whole.len()), "{whole}");
            let cut = &whole.as_bytes()[..whole.len() - 1];
            assert_eq!(statement(cut), None, "{whole}");
        }
        for open in [
            "",
            "SELECT 'a;",
            "SELECT E'\\';",
            "SELECT (1;",
            "a /* ;",
            "a $$;",
        ] {
            assert_eq!(statement(open.as_bytes()), None, "{open}");
        }
    }

    #[test]
    fn gaps_are_passed() {
        let passed = gap(b" -- a\r;; /* b /* c */ */\n\x0cSELECT 1");
        assert_eq!(passed, 26);
        assert_eq!(gap(b"- -"), 0);
        assert_eq!(gap(b" /* open"), 1);
        assert_eq!(gap(b"; -- open"), 2);
    }

    #[test]
    fn rows_follow_what_copies_from_stdin() {
        for copy in [
            "COPY public.t (a, stdin) FROM stdin;",
            "copy t from/* the rows */STDIN with (format csv);",
            "COPY \"from\" FROM STDIN",
        ] {
            assert!(reads_rows(copy.as_bytes()), "{copy}");
        }
        for other in [
            "COPY (SELECT 1 FROM stdin) TO STDOUT;",
            "copy t to stdout;",
            "COPY t FROM '/stdin';",
            "SELECT 1 FROM stdin;",
            "",
        ] {
            assert!(!reads_rows(other.as_bytes()), "{other}");
        }
    }
}
