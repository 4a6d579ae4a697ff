//! Reads the few words of a statement that tell what it is: names, keywords, symbols. It knows no
//! comments and no unusual quoting; whoever meets them asks the parser.

/// Names that are longer are cut by the parser.
const MAX_NAME: usize = 63;

/// Words that PostgreSQL takes as a name only in quotes: its reserved words and those that can only
/// name types and functions.
pub(crate) const RESERVED: &[&str] = &[
    "all",
    "analyse",
    "analyze",
    "and",
    "any",
    "array",
    "as",
    "asc",
    "asymmetric",
    "authorization",
    "binary",
    "both",
    "case",
    "cast",
    "check",
    "collate",
    "collation",
    "column",
    "concurrently",
    "constraint",
    "create",
    "cross",
    "current_catalog",
    "current_date",
    "current_role",
    "current_schema",
    "current_time",
    "current_timestamp",
    "current_user",
    "default",
    "deferrable",
    "desc",
    "distinct",
    "do",
    "else",
    "end",
    "except",
    "false",
    "fetch",
    "for",
    "foreign",
    "freeze",
    "from",
    "full",
    "grant",
    "group",
    "having",
    "ilike",
    "in",
    "initially",
    "inner",
    "intersect",
    "into",
    "is",
    "isnull",
    "join",
    "lateral",
    "leading",
    "left",
    "like",
    "limit",
    "localtime",
    "localtimestamp",
    "natural",
    "not",
    "notnull",
    "null",
    "offset",
    "on",
    "only",
    "or",
    "order",
    "outer",
    "overlaps",
    "placing",
    "primary",
    "references",
    "returning",
    "right",
    "select",
    "session_user",
    "similar",
    "some",
    "symmetric",
    "system_user",
    "table",
    "tablesample",
    "then",
    "to",
    "trailing",
    "true",
    "union",
    "unique",
    "user",
    "using",
    "variadic",
    "verbose",
    "when",
    "where",
    "window",
    "with",
];

/// A place in a text. What returns an option is `None` where something else stands.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self {
            text,
            bytes: text.as_bytes(),
            at: 0,
        }
    }

    /// How far it has come.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    pub(crate) fn step(&mut self) {
        self.at += 1;
    }

    pub(crate) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// Passes bytes for as long as they are `wanted`; returns where they began.
    fn pass(&mut self, wanted: impl Fn(u8) -> bool) -> usize {
        let start = self.at;
        let rest = self.bytes.get(start..).unwrap_or_default();
        self.at += rest.iter().take_while(|byte| wanted(**byte)).count();
        start
    }

    pub(crate) fn spaces(&mut self) {
        self.pass(is_space);
    }

    /// `symbol`, and the spaces after it.
    pub(crate) fn symbol(&mut self, symbol: u8) -> Option<()> {
        (self.peek()? == symbol).then_some(())?;
        self.at += 1;
        self.spaces();
        Some(())
    }

    /// A bare word as it stands, and the spaces after it.
    pub(crate) fn bare(&mut self) -> Option<&'a str> {
        let start = self.at;
        if !(self.peek()?.is_ascii_alphabetic() || self.peek()? == b'_') {
            return None;
        }
        self.pass(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        let end = self.at;
        // `$` and bytes beyond ASCII would belong to the word.
        if self
            .peek()
            .is_some_and(|byte| byte == b'$' || !byte.is_ascii())
        {
            return None;
        }
        self.spaces();
        self.text.get(start..end)
    }

    pub(crate) fn word(&mut self, keyword: &str) -> Option<()> {
        self.bare()?.eq_ignore_ascii_case(keyword).then_some(())
    }

    /// A name that needs no quotes, or one in quotes without a quote in it.
    pub(crate) fn name(&mut self) -> Option<String> {
        let name = if self.peek()? == b'"' {
            self.at += 1;
            let start = self.pass(|byte| byte != b'"');
            let name = self.text.get(start..self.at)?.to_owned();
            self.at += 1;
            if self.peek()? == b'"' {
                return None;
            }
            self.spaces();
            name
        } else {
            let word = self.bare()?.to_ascii_lowercase();
            if RESERVED.binary_search(&word.as_str()).is_ok() {
                return None;
            }
            // A quote would make a prefix of it: `e'...'`, `u&"..."`.
            word
        };
        let length = 1..=MAX_NAME;
        length.contains(&name.len()).then_some(name)
    }

    /// `schema.table`, as [`Statement::filled_table`] tells it.
    pub(crate) fn table(&mut self) -> Option<String> {
        let first = self.name()?;
        if self.symbol(b'.').is_none() {
            return Some(format!("public.{first}"));
        }
        Some(format!("{first}.{}", self.name()?))
    }

    /// Elements between commas, up to the closing parenthesis.
    pub(crate) fn list(&mut self, element: impl Fn(&mut Self) -> Option<()>) -> Option<()> {
        loop {
            element(self)?;
            if self.symbol(b',').is_none() {
                return self.symbol(b')');
            }
        }
    }

    /// A string in which backslashes stand for themselves, and quotes are doubled.
    pub(crate) fn string(&mut self) -> Option<()> {
        loop {
            self.at += 1;
            self.pass(|byte| byte != b'\'');
            self.at += 1;
            if self.peek()? != b'\'' {
                return Some(());
            }
        }
    }

    pub(crate) fn digits(&mut self) -> Option<()> {
        let start = self.pass(|byte| byte.is_ascii_digit());
        (self.at > start).then_some(())
    }

    /// `;`, or nothing more.
    pub(crate) fn end(&mut self) -> Option<()> {
        match self.peek() {
            None => Some(()),
            Some(b';') => {
                self.at += 1;
                Some(())
            }
            Some(_) => None,
        }
    }
}

/// What every version's scanner passes over; of the vertical tab they think differently.
pub(crate) fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | b'\x0c')
}
