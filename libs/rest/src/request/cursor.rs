//! A backtracking cursor over one decoded piece of the query string.
//!
//! Its errors are those of PostgREST, whose parser is Parsec: alternatives that fail where they
//! began are remembered together, the furthest place wins, and an alternative that has consumed
//! something is final unless it was only an [`Cursor::attempt`]. `blame` keeps them.

use super::blame::{Blame, Seen};
use crate::error::RestError;

/// A rule did not match. What was expected, and where, is kept by the cursor. The rule has consumed
/// something if the cursor stands elsewhere than before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Miss;

/// Result of one grammar rule.
pub(crate) type Parsed<T> = Result<T, Miss>;

/// Deepest nesting of logic groups and embedded resources.
pub(crate) const MAX_DEPTH: usize = 32;

const TOO_DEEP: &str = "at most 32 levels of nesting";

pub(crate) struct Cursor<'a> {
    source: &'a str,
    position: usize,
    /// What was expected at the furthest place, if anybody wants to know.
    blame: Option<Blame>,
    depth: usize,
    /// Characters that were looked at, so that tests can tell linear time from quadratic.
    steps: usize,
}

impl<'a> Cursor<'a> {
    fn new(source: &'a str, blame: Option<Blame>) -> Self {
        Self {
            source,
            position: 0,
            blame,
            depth: 0,
            steps: 0,
        }
    }

    pub(crate) fn rest(&self) -> &'a str {
        self.source.get(self.position..).unwrap_or_default()
    }

    pub(crate) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    /// Nothing matches here. `expected` is empty for rules that have no name.
    pub(crate) fn miss<T>(&mut self, expected: &'static str) -> Parsed<T> {
        let seen = self.peek();
        self.missed(Seen::Token(seen), expected)
    }

    fn missed<T>(&mut self, seen: Seen, expected: &'static str) -> Parsed<T> {
        if let Some(blame) = &mut self.blame {
            blame.merge(Blame::at(self.position, seen, expected));
        }
        Err(Miss)
    }

    /// One character that `keep` wants.
    pub(crate) fn one(
        &mut self,
        keep: impl Fn(char) -> bool,
        expected: &'static str,
    ) -> Parsed<char> {
        self.steps += 1;
        match self.peek() {
            Some(c) if keep(c) => {
                self.position += c.len_utf8();
                if let Some(blame) = &mut self.blame {
                    blame.clear();
                }
                Ok(c)
            }
            _ => self.miss(expected),
        }
    }

    /// Exactly `text`; `shown` is how an error spells it. What matches of it is consumed.
    pub(crate) fn text(&mut self, text: &str, shown: &'static str) -> Parsed<()> {
        let rest = self.rest();
        let mut matched = 0;
        let mut found = rest.chars();
        for wanted in text.chars() {
            self.steps += 1;
            let next = found.next();
            if next != Some(wanted) {
                let missed = self.missed(Seen::Token(next), shown);
                self.position += matched;
                return missed;
            }
            matched += wanted.len_utf8();
        }
        self.position += matched;
        if let Some(blame) = &mut self.blame {
            blame.clear();
        }
        Ok(())
    }

    /// As many characters as `keep` wants, also none.
    pub(crate) fn take_while(&mut self, keep: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let length = rest.find(|c| !keep(c)).unwrap_or(rest.len());
        self.steps += length + 1;
        if length > 0 {
            self.position += length;
            if let Some(blame) = &mut self.blame {
                blame.clear();
            }
        }
        // It could have gone on here.
        let _: Parsed<()> = self.miss("");
        rest.get(..length).unwrap_or_default()
    }

    pub(crate) fn skip_spaces(&mut self) {
        self.take_while(|c| c == ' ' || c == '\t');
    }

    /// A rule with spaces around it.
    pub(crate) fn spaced<T>(&mut self, rule: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        self.skip_spaces();
        let value = rule(self)?;
        self.skip_spaces();
        Ok(value)
    }

    /// Runs a rule and goes back to where it began if it does not match.
    pub(crate) fn attempt<T>(&mut self, rule: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        let (start, depth) = (self.position, self.depth);
        let before = self.blame.as_mut().map(std::mem::take);
        let outcome = rule(self);
        if outcome.is_err() {
            (self.position, self.depth) = (start, depth);
        }
        self.remember(before, start);
        outcome
    }

    /// Puts what was expected before a rule back, unless the rule got on.
    fn remember(&mut self, before: Option<Blame>, start: usize) {
        if self.position == start
            && let (Some(blame), Some(mut before)) = (&mut self.blame, before)
        {
            before.merge(std::mem::take(blame));
            *blame = before;
        }
    }

    /// The first rule, or else the second; but not if the first has consumed something.
    pub(crate) fn either<T>(
        &mut self,
        first: impl FnOnce(&mut Self) -> Parsed<T>,
        second: impl FnOnce(&mut Self) -> Parsed<T>,
    ) -> Parsed<T> {
        let start = self.position;
        let mut before = self.blame.as_mut().map(std::mem::take);
        let outcome = first(self);
        if outcome.is_ok() || self.position != start {
            self.remember(before, start);
            return outcome;
        }
        if let (Some(before), Some(blame)) = (&mut before, &mut self.blame) {
            before.merge(std::mem::take(blame));
        }
        let outcome = second(self);
        self.remember(before, start);
        outcome
    }

    /// A rule that may be absent.
    pub(crate) fn maybe<T>(
        &mut self,
        rule: impl FnOnce(&mut Self) -> Parsed<T>,
    ) -> Parsed<Option<T>> {
        self.either(|cursor| rule(cursor).map(Some), |_| Ok(None))
    }

    /// Calls a rule by a name of its own where it fails at its beginning.
    pub(crate) fn named<T>(
        &mut self,
        name: &'static str,
        rule: impl FnOnce(&mut Self) -> Parsed<T>,
    ) -> Parsed<T> {
        let start = self.position;
        let before = self.blame.as_mut().map(std::mem::take);
        let outcome = rule(self);
        if self.position == start
            && let Some(blame) = &mut self.blame
        {
            blame.rename(name, outcome.is_err());
        }
        self.remember(before, start);
        outcome
    }

    /// A rule as often as it matches, also never.
    pub(crate) fn many<T>(
        &mut self,
        mut rule: impl FnMut(&mut Self) -> Parsed<T>,
    ) -> Parsed<Vec<T>> {
        let mut items = Vec::new();
        loop {
            let start = self.position;
            match rule(self) {
                Ok(item) if self.position > start => items.push(item),
                Err(Miss) if self.position > start => return Err(Miss),
                _ => return Ok(items),
            }
            if let Some(blame) = &mut self.blame {
                blame.clear();
            }
        }
    }

    /// `rule (separator rule)*`
    pub(crate) fn separated<T>(
        &mut self,
        mut separator: impl FnMut(&mut Self) -> Parsed<()>,
        mut rule: impl FnMut(&mut Self) -> Parsed<T>,
    ) -> Parsed<Vec<T>> {
        let mut items = vec![rule(self)?];
        let others = self.many(|cursor| {
            separator(cursor)?;
            rule(cursor)
        })?;
        items.extend(others);
        Ok(items)
    }

    /// Whether a rule matches here. Consumes nothing.
    pub(crate) fn ahead<T>(&mut self, rule: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<()> {
        let start = self.position;
        self.attempt(rule)?;
        self.position = start;
        Ok(())
    }

    /// Fails, without consuming, if the next character is one that `unwanted` knows.
    pub(crate) fn not_before(&mut self, unwanted: impl Fn(char) -> bool) -> Parsed<()> {
        match self.peek() {
            Some(c) if unwanted(c) => self.missed(Seen::Unwanted(c), ""),
            _ => Ok(()),
        }
    }

    pub(crate) fn end(&mut self) -> Parsed<()> {
        match self.peek() {
            Some(c) => self.missed(Seen::Unwanted(c), "end of input"),
            None => Ok(()),
        }
    }

    /// Counts one level of nesting for the time of `rule`.
    pub(crate) fn nested<T>(&mut self, rule: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.depth >= MAX_DEPTH {
            if let Some(blame) = &mut self.blame {
                blame.clear();
            }
            return self.miss(TOO_DEEP);
        }
        self.depth += 1;
        let outcome = rule(self);
        self.depth = self.depth.saturating_sub(1);
        outcome
    }
}

/// Parses all of `source` with `rule`; `what` and `shown` are what the error quotes.
pub(crate) fn parse_as<'a, T>(
    what: &str,
    shown: &str,
    source: &'a str,
    rule: impl Fn(&mut Cursor<'a>) -> Parsed<T>,
) -> Result<T, RestError> {
    parse_start_as(what, shown, source, |cursor| {
        let value = rule(cursor)?;
        cursor.end()?;
        Ok(value)
    })
}

/// Parses `source` with `rule` and ignores what follows, as PostgREST does.
///
/// What was expected is only kept in a second run, after the first has failed.
pub(crate) fn parse_start_as<'a, T>(
    what: &str,
    shown: &str,
    source: &'a str,
    rule: impl Fn(&mut Cursor<'a>) -> Parsed<T>,
) -> Result<T, RestError> {
    let mut cursor = Cursor::new(source, None);
    if let Ok(value) = rule(&mut cursor) {
        return Ok(value);
    }
    let mut cursor = Cursor::new(source, Some(Blame::default()));
    if let Ok(value) = rule(&mut cursor) {
        return Ok(value);
    }
    let blame = cursor.blame.unwrap_or_default();
    let before = source.get(..blame.position()).unwrap_or_default();
    let column = before.chars().count() + 1;
    Err(RestError::query_parameter(
        format!("\"failed to parse {what} ({shown})\" (line 1, column {column})"),
        blame.to_string(),
    ))
}

/// The same; but where not even the beginning matches, there is nothing rather than an error.
pub(crate) fn parse_if_begun<'a, T>(
    what: &str,
    shown: &str,
    source: &'a str,
    rule: impl Fn(&mut Cursor<'a>) -> Parsed<T>,
) -> Result<Option<T>, RestError> {
    let mut cursor = Cursor::new(source, None);
    match rule(&mut cursor) {
        Ok(value) => Ok(Some(value)),
        Err(Miss) if cursor.position == 0 => Ok(None),
        Err(Miss) => parse_start_as(what, shown, source, rule).map(Some),
    }
}

/// Characters that `rule` looks at in `source`.
#[cfg(test)]
pub(crate) fn steps<'a, T>(source: &'a str, rule: impl Fn(&mut Cursor<'a>) -> Parsed<T>) -> usize {
    let mut cursor = Cursor::new(source, None);
    rule(&mut cursor).ok();
    cursor.steps
}
