//! Cuts a PL/pgSQL body into the pieces that can be SQL statements, without a PL/pgSQL grammar.
//!
//! The parser library has one for PL/pgSQL, but it fails on trigger functions. The tokens of
//! PL/pgSQL are those of SQL, and a statement can only start after `;` or one of a few keywords, so
//! the cut is exact enough: what is not SQL simply does not parse and is left to PostgreSQL.

use pg_query::protobuf::{ScanToken, Token};

use crate::{parser, tree};

/// What in a body deserves a look.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Piece<'a> {
    /// Text that may be a statement other than a query.
    Statement(&'a str),
    /// The expression of `EXECUTE`.
    Dynamic(&'a str),
    /// Name of a called function, as PostgreSQL would resolve it, without its schema.
    Call(String),
}

/// The first words of the statements that some rule refuses.
const VERBS: &[&str] = &[
    "alter",
    "checkpoint",
    "comment",
    "copy",
    "create",
    "discard",
    "do",
    "drop",
    "grant",
    "import",
    "load",
    "reassign",
    "reset",
    "revoke",
    "security",
    "set",
];

/// After these a new statement may start.
const OPENERS: &[&str] = &["begin", "then", "else", "loop", "declare"];

/// The pieces of `body`, in order.
///
/// # Errors
/// The scanner's complaint, for a body that PostgreSQL could not read either.
pub(crate) fn pieces(body: &str) -> Result<Vec<Piece<'_>>, pg_query::Error> {
    let tokens: Vec<Word<'_>> = pg_query::scan_tokens(body)?
        .iter()
        .filter_map(|token| Word::of(body, token))
        .collect();
    let mut pieces = Vec::new();
    let mut at_start = true;
    for (index, word) in tokens.iter().enumerate() {
        let rest = tokens.get(index + 1..).unwrap_or_default();
        if rest.first().is_some_and(|next| next.text == "(")
            && let Some(name) = word.name()
        {
            pieces.push(Piece::Call(name));
        }
        if word.is("execute") {
            if let Some(text) = span(body, word.end, until(rest, &["into", "using"])) {
                pieces.push(Piece::Dynamic(text));
            }
        } else if at_start
            && word.is_one_of(VERBS)
            && let Some(text) = span(body, word.start, until(rest, &[]))
        {
            pieces.push(Piece::Statement(text));
        }
        at_start = word.text == ";" || word.is_one_of(OPENERS);
    }
    Ok(pieces)
}

/// One token of the body.
struct Word<'a> {
    text: &'a str,
    start: usize,
    end: usize,
    /// A bare word; a string or number is none.
    bare: bool,
    quoted: bool,
}

impl<'a> Word<'a> {
    fn of(body: &'a str, token: &ScanToken) -> Option<Self> {
        let comment =
            token.token == Token::SqlComment as i32 || token.token == Token::CComment as i32;
        let (start, end) = (
            usize::try_from(token.start).ok()?,
            usize::try_from(token.end).ok()?,
        );
        let text = body.get(start..end).filter(|_| !comment)?;
        let first = text.chars().next()?;
        Some(Self {
            text,
            start,
            end,
            bare: (first.is_alphabetic() || first == '_') && token.token != Token::Sconst as i32,
            quoted: first == '"',
        })
    }

    fn is(&self, keyword: &str) -> bool {
        self.bare && self.text.eq_ignore_ascii_case(keyword)
    }

    fn is_one_of(&self, keywords: &[&str]) -> bool {
        keywords.iter().any(|keyword| self.is(keyword))
    }

    /// The identifier, folded as PostgreSQL does it.
    fn name(&self) -> Option<String> {
        if self
            .text
            .get(..2)
            .is_some_and(|start| start.eq_ignore_ascii_case("u&"))
        {
            // `U&"..."`, which only the parser can read.
            return called(self.text);
        }
        if self.quoted {
            let inner = self.text.strip_prefix('"')?.strip_suffix('"')?;
            Some(inner.replace("\"\"", "\""))
        } else {
            self.bare.then(|| self.text.to_ascii_lowercase())
        }
    }
}

/// The name that the parser sees in a call of `name`.
fn called(name: &str) -> Option<String> {
    let parsed = parser::parse(&format!("SELECT {name}()")).ok()?;
    let mut called = None;
    tree::visit(&parsed.protobuf, &mut |found| {
        if found.kind == "FuncCall" {
            called = Some(found.text("funcname").to_owned());
        }
    });
    called
}

/// Where the statement or expression ends: before `;` or, outside parentheses, one of `keywords`.
fn until(rest: &[Word<'_>], keywords: &[&str]) -> Option<usize> {
    let mut depth = 0_usize;
    let mut end = None;
    for word in rest {
        match word.text {
            "(" => depth += 1,
            ")" => depth = depth.saturating_sub(1),
            ";" => break,
            _ if depth == 0 && word.is_one_of(keywords) => break,
            // `FOR r IN EXECUTE ... LOOP` ends here, too.
            _ if depth == 0 && word.is("loop") => break,
            _ => {}
        }
        end = Some(word.end);
    }
    end
}

fn span(body: &str, start: usize, end: Option<usize>) -> Option<&str> {
    body.get(start..end?).map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_calls_and_dynamic_sql_are_found() {
        let body = "
            <<outer>> DECLARE r record; -- RESET ROLE in a comment
            BEGIN
              UPDATE users SET role = 'admin' WHERE id = NEW.id;
              IF NEW.x THEN RESET ROLE; ELSE PERFORM \"Set\"('role'); END IF;
              FOR r IN EXECUTE format('x(%s)', 1) LOOP END LOOP;
              EXECUTE 'SET ROLE ' || quote_ident(x) INTO r USING 1;
              PERFORM U&\"\\0073et_config\"('a');
              RETURN NEW;
            END";
        assert_eq!(
            pieces(body).unwrap(),
            [
                Piece::Statement("RESET ROLE"),
                Piece::Call("Set".into()),
                Piece::Dynamic("format('x(%s)', 1)"),
                Piece::Call("format".into()),
                Piece::Dynamic("'SET ROLE ' || quote_ident(x)"),
                Piece::Call("quote_ident".into()),
                Piece::Call("set_config".into()),
            ]
        );
    }

    #[test]
    fn a_body_that_cannot_be_scanned_is_an_error() {
        assert!(pieces("BEGIN 'open").is_err());
    }
}
