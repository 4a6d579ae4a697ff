//! Reads the few words of a statement that tell what it is: names, keywords, symbols. It knows no
//! comments and no unusual quoting; whoever meets them asks the parser.

use std::sync::LazyLock;

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

/// For each letter that a reserved word begins with, a bit for each length: most names are told from
/// them by it.
static RESERVED_LENGTHS: LazyLock<[u64; 256]> = LazyLock::new(|| {
    let mut lengths = [0; 256];
    for word in RESERVED {
        let (first, length) = first_and_length(word);
        if let Some(lengths) = lengths.get_mut(first) {
            *lengths |= length;
        }
    }
    lengths
});

fn is_reserved(word: &str) -> bool {
    let (first, length) = first_and_length(word);
    let lengths = RESERVED_LENGTHS.get(first).copied().unwrap_or_default();
    lengths & length != 0
        && RESERVED
            .binary_search(&word.to_ascii_lowercase().as_str())
            .is_ok()
}

fn first_and_length(word: &str) -> (usize, u64) {
    let first = word.as_bytes().first().map_or(0, u8::to_ascii_lowercase);
    let length = u32::try_from(word.len()).ok();
    let length = length.and_then(|length| 1_u64.checked_shl(length));
    (usize::from(first), length.unwrap_or_default())
}

/// A name as it stands in a text.
enum Spelling<'a> {
    Bare(&'a str),
    Quoted(&'a str),
}

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
        Some(match self.spelling()? {
            Spelling::Quoted(name) => name.to_owned(),
            // A quote would make a prefix of it: `e'...'`, `u&"..."`.
            Spelling::Bare(word) => word.to_ascii_lowercase(),
        })
    }

    /// The same where nobody asks what the name is.
    pub(crate) fn any_name(&mut self) -> Option<()> {
        self.spelling().map(drop)
    }

    fn spelling(&mut self) -> Option<Spelling<'a>> {
        let spelling = if self.peek()? == b'"' {
            self.at += 1;
            let start = self.pass(|byte| byte != b'"');
            let name = self.text.get(start..self.at)?;
            self.at += 1;
            if self.peek()? == b'"' {
                return None;
            }
            self.spaces();
            Spelling::Quoted(name)
        } else {
            let word = self.bare()?;
            if is_reserved(word) {
                return None;
            }
            Spelling::Bare(word)
        };
        let (Spelling::Quoted(name) | Spelling::Bare(name)) = spelling;
        (1..=MAX_NAME).contains(&name.len()).then_some(spelling)
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
