//! Where statements end in a text, by the rules of PostgreSQL's scanner, so that a long text can be
//! parsed piece by piece.
//!
//! Nothing rests on it: whoever parses a piece sees whether it ended with the `;` that was found
//! here, and takes the whole text otherwise.

use crate::reader::is_space;

/// Where the next statement may begin: after spaces, comments and empty statements.
pub(crate) fn gap(text: &str) -> usize {
    let bytes = text.as_bytes();
    let mut at = 0;
    loop {
        let rest = bytes.get(at..).unwrap_or_default();
        at += match rest {
            [byte, ..] if is_space(*byte) || *byte == b';' => 1,
            [b'-', b'-', ..] => line_comment(rest),
            [b'/', b'*', ..] => match block_comment(rest) {
                Some(length) => length,
                None => return at,
            },
            _ => return at,
        };
    }
}

/// The length of the statement with which `text` begins, with its `;`; `None` if it has no end
/// before the text's.
pub(crate) fn statement(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = 0;
    let mut open = Open::default();
    loop {
        let rest = bytes.get(at..)?;
        at += match rest {
            [] => return None,
            [b'\'', ..] => string(rest, false)?,
            [b'"', ..] => quoted(rest, b'"')?,
            [b'$', ..] => dollar_quoted(rest).unwrap_or(1),
            [b'-', b'-', ..] => line_comment(rest),
            [b'/', b'*', ..] => block_comment(rest)?,
            [b';', ..] if open.is_closed() => return Some(at + 1),
            [b'(', ..] => open.parenthesis(),
            [b')', ..] => open.close(),
            [byte, ..] if is_word(*byte) => {
                let length = word(rest);
                let (word, after) = rest.split_at_checked(length)?;
                open.word(word);
                // Backslashes escape in `E'...'` alone.
                match (word, after) {
                    ([b'e' | b'E'], [b'\'', ..]) => length + string(after, true)?,
                    _ => length,
                }
            }
            // A number does not begin a word, but goes on like one: `1e'` is none, either.
            [byte, ..] if byte.is_ascii_digit() => word(rest),
            _ => 1,
        };
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

    fn parenthesis(&mut self) -> usize {
        self.parentheses += 1;
        1
    }

    fn close(&mut self) -> usize {
        self.parentheses = self.parentheses.saturating_sub(1);
        1
    }

    fn word(&mut self, word: &[u8]) {
        let is = |keyword: &str| word.eq_ignore_ascii_case(keyword.as_bytes());
        if (self.begins && is("atomic")) || (self.bodies > 0 && is("case")) {
            self.bodies += 1;
        } else if is("end") {
            self.bodies = self.bodies.saturating_sub(1);
        }
        self.begins = is("begin");
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || !byte.is_ascii()
}

fn word(text: &[u8]) -> usize {
    let goes_on = |byte: &&u8| is_word(**byte) || byte.is_ascii_digit() || **byte == b'$';
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

fn string(text: &[u8], escapes: bool) -> Option<usize> {
    if !escapes {
        return quoted(text, b'\'');
    }
    let mut at = 1;
    loop {
        match text.get(at)? {
            b'\\' => at += 2,
            b'\'' if text.get(at + 1) == Some(&b'\'') => at += 2,
            b'\'' => return Some(at + 1),
            _ => at += 1,
        }
    }
}

/// `$tag$ ... $tag$`; `None` if it is a parameter, an operator or has no end.
fn dollar_quoted(text: &[u8]) -> Option<usize> {
    let rest = text.get(1..)?;
    let tag = match rest.first()? {
        b'$' => 0,
        byte if is_word(*byte) => rest
            .iter()
            .position(|byte| !(is_word(*byte) || byte.is_ascii_digit()))?,
        _ => return None,
    };
    let delimiter = text.get(..tag + 2).filter(|it| it.ends_with(b"$"))?;
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
            "SELECT $$;$$, $a$ $b$; $ $a$, $1;",
            "SELECT a$b$c, 1;",
            "SELECT $a$ $a $a;$a$;",
            "SELECT 1 -- no; end\n;",
            "SELECT 1 /* no /* end; */ ; */;",
            "SELECT 1 /*/ ; */;",
            "SELECT 5 - -1 / 2;",
            "CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2);",
            "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT CASE WHEN true THEN 1 END; END;",
            "CREATE TABLE t (\"begin\" int, a int);",
            "SELECT case_begin FROM begin;",
        ] {
            let two = format!("{whole} SELECT 2");
            assert_eq!(statement(&two), Some(whole.len()), "{whole}");
        }
        for open in [
            "SELECT 1",
            "SELECT 'a;",
            "SELECT E'\\';",
            "SELECT (1;",
            "a /* ;",
        ] {
            assert_eq!(statement(open), None, "{open}");
        }
    }

    #[test]
    fn gaps_are_passed() {
        let passed = gap(" -- a\r;; /* b /* c */ */\n\x0cSELECT 1");
        assert_eq!(passed, 26);
        assert_eq!(gap("- -"), 0);
        assert_eq!(gap(" /* open"), 1);
    }
}
