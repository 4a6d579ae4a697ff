//! What a parser expected where it failed: Parsec's error messages.

use std::fmt;

/// What stood where something else was expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    /// A character, or the end of the input.
    Token(Option<char>),
    /// A character that was explicitly not wanted.
    Unwanted(char),
}

/// The failures at the furthest place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Blame {
    position: usize,
    seen: Option<Seen>,
    expected: Vec<&'static str>,
}

impl Blame {
    pub(super) fn at(position: usize, seen: Seen, expected: &'static str) -> Self {
        Self {
            position,
            seen: Some(seen),
            expected: Some(expected)
                .filter(|name| !name.is_empty())
                .into_iter()
                .collect(),
        }
    }

    /// Byte at which it happened.
    pub(super) fn position(&self) -> usize {
        self.position
    }

    /// Nothing has failed since something was consumed.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    fn is_empty(&self) -> bool {
        self.seen.is_none() && self.expected.is_empty()
    }

    /// Adds a later failure: the further place wins, at the same place both count.
    pub(super) fn merge(&mut self, later: Self) {
        if later.is_empty() || (!self.is_empty() && later.position < self.position) {
            return;
        }
        if self.is_empty() || later.position > self.position {
            *self = later;
            return;
        }
        // What was explicitly not wanted says more than what merely stood there.
        if let (Some(Seen::Token(_)), Some(Seen::Unwanted(_))) = (self.seen, later.seen) {
            self.seen = later.seen;
        }
        self.seen = self.seen.or(later.seen);
        self.expected.extend(later.expected);
    }

    /// One name for all that was expected. `failed`: also if nothing was.
    pub(super) fn rename(&mut self, name: &'static str, failed: bool) {
        if failed || !self.is_empty() {
            self.expected = vec![name];
        }
    }
}

impl fmt::Display for Blame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut unique: Vec<&str> = Vec::new();
        for name in &self.expected {
            if !unique.contains(name) {
                unique.push(name);
            }
        }
        match self.seen {
            Some(Seen::Unwanted(c)) => write!(f, "unexpected {c:?}")?,
            Some(Seen::Token(Some(c))) => write!(f, "unexpected {:?}", c.to_string())?,
            Some(Seen::Token(None)) => f.write_str("unexpected end of input")?,
            None => {}
        }
        match unique.split_last() {
            None => Ok(()),
            Some((last, [])) => write!(f, " expecting {last}"),
            Some((last, others)) => write!(f, " expecting {} or {last}", others.join(", ")),
        }
    }
}
