//! A backtracking cursor over one decoded piece of the query string.
//!
//! It remembers the furthest point that any alternative reached and what was expected there, so
//! that the one error that is finally reported points at the real mistake.

use crate::error::RestError;

/// A parser did not match. What was expected, and where, is kept by the cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Miss;

/// Result of one grammar rule.
pub(crate) type Parsed<T> = Result<T, Miss>;

/// Deepest nesting of logic groups and embedded resources.
pub(crate) const MAX_DEPTH: usize = 32;

pub(crate) struct Cursor<'a> {
    source: &'a str,
    position: usize,
    furthest: usize,
    expected: Vec<&'static str>,
    depth: usize,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(source: &'a str) -> Self {
        Self {
            source,
            position: 0,
            furthest: 0,
            expected: Vec::new(),
            depth: 0,
        }
    }

    pub(crate) fn rest(&self) -> &'a str {
        self.source.get(self.position..).unwrap_or_default()
    }

    pub(crate) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    pub(crate) fn at_end(&self) -> bool {
        self.position >= self.source.len()
    }

    pub(crate) fn bump(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.position += next.len_utf8();
        Some(next)
    }

    /// Records what this rule wanted at the current position.
    pub(crate) fn miss<T>(&mut self, expecting: &'static str) -> Parsed<T> {
        if self.position > self.furthest {
            self.furthest = self.position;
            self.expected.clear();
        }
        if self.position == self.furthest && !self.expected.contains(&expecting) {
            self.expected.push(expecting);
        }
        Err(Miss)
    }

    /// Runs a rule and goes back to where it began if it does not match.
    pub(crate) fn attempt<T>(&mut self, rule: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        let (start, depth) = (self.position, self.depth);
        rule(self).inspect_err(|_| {
            self.position = start;
            self.depth = depth;
        })
    }

    /// Counts one level of nesting for the time of `rule`.
    pub(crate) fn nested<T>(&mut self, rule: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.depth >= MAX_DEPTH {
            return self.miss("at most 32 levels of nesting");
        }
        self.depth += 1;
        let outcome = rule(self);
        self.depth = self.depth.saturating_sub(1);
        outcome
    }

    /// Consumes `text` if the input continues with it.
    pub(crate) fn eat(&mut self, text: &str) -> bool {
        let found = self.rest().starts_with(text);
        if found {
            self.position += text.len();
        }
        found
    }

    pub(crate) fn expect(&mut self, text: &'static str, expecting: &'static str) -> Parsed<()> {
        if self.eat(text) {
            Ok(())
        } else {
            self.miss(expecting)
        }
    }

    pub(crate) fn skip_spaces(&mut self) {
        while self.peek() == Some(' ') {
            self.position += 1;
        }
    }

    pub(crate) fn take_while(&mut self, keep: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let length = rest.find(|c| !keep(c)).unwrap_or(rest.len());
        self.position += length;
        rest.get(..length).unwrap_or_default()
    }

    /// `rule (separator rule)*`
    pub(crate) fn separated<T>(
        &mut self,
        separator: &'static str,
        mut rule: impl FnMut(&mut Self) -> Parsed<T>,
    ) -> Parsed<Vec<T>> {
        let mut items = vec![rule(self)?];
        while self.eat(separator) {
            items.push(rule(self)?);
        }
        Ok(items)
    }

    pub(crate) fn end(&mut self) -> Parsed<()> {
        if self.at_end() {
            Ok(())
        } else {
            self.miss("end of input")
        }
    }

    /// The error of a parse that failed: `what` names the piece, for example `filter`.
    fn error(&self, what: &str, shown: &str) -> RestError {
        let before = self.source.get(..self.furthest).unwrap_or_default();
        let column = before.chars().count() + 1;
        let unexpected = match self
            .source
            .get(self.furthest..)
            .and_then(|r| r.chars().next())
        {
            Some(found) => format!("unexpected {:?}", found.to_string()),
            None => "unexpected end of input".to_owned(),
        };
        let expecting = match self.expected.split_last() {
            None => String::new(),
            Some((last, [])) => format!(" expecting {last}"),
            Some((last, others)) => format!(" expecting {} or {last}", others.join(", ")),
        };
        RestError::query_parameter(
            format!("\"failed to parse {what} ({shown})\" (line 1, column {column})"),
            format!("{unexpected}{expecting}"),
        )
    }
}

/// Parses all of `source` with `rule`; `shown` is what the error quotes.
pub(crate) fn parse_as<'a, T>(
    what: &str,
    shown: &str,
    source: &'a str,
    rule: impl FnOnce(&mut Cursor<'a>) -> Parsed<T>,
) -> Result<T, RestError> {
    let mut cursor = Cursor::new(source);
    let outcome = rule(&mut cursor).and_then(|value| cursor.end().map(|()| value));
    outcome.map_err(|Miss| cursor.error(what, shown))
}
