//! Operators and their values: what stands to the right of `column=`.

use super::cursor::{Cursor, Parsed};
use super::field::{Field, field, quoted};

/// A condition on a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Filter {
    pub(crate) field: Field,
    pub(crate) condition: Condition,
}

/// An operation, possibly under `not.`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Condition {
    pub(crate) negated: bool,
    pub(crate) operation: Operation,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Operation {
    Compare {
        operator: Operator,
        quantifier: Option<Quantifier>,
        value: String,
    },
    In(Vec<String>),
    Is(Truth),
    IsDistinctFrom(String),
    Search {
        parser: SearchParser,
        language: Option<String>,
        value: String,
    },
}

/// Operators that take one value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operator {
    Equal,
    NotEqual,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
    Like,
    ILike,
    Match,
    IMatch,
    Contains,
    Contained,
    Overlap,
    StrictlyLeft,
    StrictlyRight,
    NotExtendRight,
    NotExtendLeft,
    Adjacent,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Quantifier {
    Any,
    All,
}

/// What `is` compares with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Truth {
    Null,
    True,
    False,
    Unknown,
}

/// Functions that read a full text query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SearchParser {
    Raw,
    Plain,
    Phrase,
    Web,
}

/// Operators that may be followed by `(any)` or `(all)`; longer names first.
const QUANTIFIABLE: [(&str, Operator); 9] = [
    ("eq", Operator::Equal),
    ("gte", Operator::GreaterOrEqual),
    ("gt", Operator::Greater),
    ("lte", Operator::LessOrEqual),
    ("lt", Operator::Less),
    ("like", Operator::Like),
    ("ilike", Operator::ILike),
    ("match", Operator::Match),
    ("imatch", Operator::IMatch),
];

const SIMPLE: [(&str, Operator); 9] = [
    ("neq", Operator::NotEqual),
    ("cs", Operator::Contains),
    ("cd", Operator::Contained),
    ("ov", Operator::Overlap),
    ("sl", Operator::StrictlyLeft),
    ("sr", Operator::StrictlyRight),
    ("nxr", Operator::NotExtendRight),
    ("nxl", Operator::NotExtendLeft),
    ("adj", Operator::Adjacent),
];

const SEARCH: [(&str, SearchParser); 4] = [
    ("fts", SearchParser::Raw),
    ("plfts", SearchParser::Plain),
    ("phfts", SearchParser::Phrase),
    ("wfts", SearchParser::Web),
];

const EXPECTED: &str = "operator (eq, gt, ...)";

/// Where a value ends: at the end of the parameter, or at the next comma or parenthesis of a list.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum ValueEnd {
    Parameter,
    ListItem,
}

pub(crate) fn condition(cursor: &mut Cursor<'_>, end: ValueEnd) -> Parsed<Condition> {
    let negated = cursor.eat("not.");
    Ok(Condition {
        negated,
        operation: operation(cursor, end)?,
    })
}

fn operation(cursor: &mut Cursor<'_>, end: ValueEnd) -> Parsed<Operation> {
    if cursor.eat("in.") {
        return list(cursor).map(Operation::In);
    }
    if cursor.eat("is.") {
        return truth(cursor).map(Operation::Is);
    }
    if cursor.eat("isdistinct.") {
        return Ok(Operation::IsDistinctFrom(value(cursor, end)));
    }
    let word = cursor
        .rest()
        .split(|c: char| !c.is_ascii_alphabetic())
        .next()
        .unwrap_or_default();
    if let Some((name, parser)) = SEARCH.iter().find(|(name, _)| *name == word) {
        cursor.eat(name);
        let language = cursor.attempt(language).ok();
        cursor.expect(".", "delimiter (.)")?;
        return Ok(Operation::Search {
            parser: *parser,
            language,
            value: value(cursor, end),
        });
    }
    let mut quantifier = None;
    let operator = if let Some((name, operator)) = QUANTIFIABLE.iter().find(|(n, _)| *n == word) {
        cursor.eat(name);
        quantifier = match () {
            () if cursor.eat("(any)") => Some(Quantifier::Any),
            () if cursor.eat("(all)") => Some(Quantifier::All),
            () => None,
        };
        *operator
    } else if let Some((name, operator)) = SIMPLE.iter().find(|(n, _)| *n == word) {
        cursor.eat(name);
        *operator
    } else {
        return cursor.miss(EXPECTED);
    };
    cursor.expect(".", "delimiter (.)")?;
    Ok(Operation::Compare {
        operator,
        quantifier,
        value: value(cursor, end),
    })
}

fn language(cursor: &mut Cursor<'_>) -> Parsed<String> {
    cursor.expect("(", "\"(\"")?;
    let name = cursor.take_while(|c| c.is_alphanumeric() || matches!(c, '_' | ' ' | '$'));
    if name.is_empty() {
        return cursor.miss("text search configuration");
    }
    let name = name.to_owned();
    cursor.expect(")", "\")\"")?;
    Ok(name)
}

fn truth(cursor: &mut Cursor<'_>) -> Parsed<Truth> {
    let word = cursor.attempt(|cursor| {
        match cursor
            .take_while(|c| c.is_ascii_alphabetic())
            .to_ascii_lowercase()
            .as_str()
        {
            "null" => Ok(Truth::Null),
            "true" => Ok(Truth::True),
            "false" => Ok(Truth::False),
            "unknown" => Ok(Truth::Unknown),
            _ => Err(super::cursor::Miss),
        }
    });
    word.or_else(|_| cursor.miss("null or trilean value (unknown, true, false)"))
}

fn value(cursor: &mut Cursor<'_>, end: ValueEnd) -> String {
    match end {
        ValueEnd::Parameter => cursor.take_while(|_| true).to_owned(),
        ValueEnd::ListItem => list_value(cursor),
    }
}

/// A value inside `and=(…)`: quoted, an array literal with its commas, or plain.
fn list_value(cursor: &mut Cursor<'_>) -> String {
    cursor
        .attempt(closed_quote)
        .or_else(|_| cursor.attempt(array_literal))
        .unwrap_or_else(|_| plain_value(cursor))
}

fn plain_value(cursor: &mut Cursor<'_>) -> String {
    cursor.take_while(|c| c != ',' && c != ')').to_owned()
}

/// A quoted value is one only if the list goes on right after it.
fn closed_quote(cursor: &mut Cursor<'_>) -> Parsed<String> {
    let value = quoted(cursor)?;
    match cursor.peek() {
        None | Some(',' | ')') => Ok(value),
        Some(_) => cursor.miss("\",\""),
    }
}

fn array_literal(cursor: &mut Cursor<'_>) -> Parsed<String> {
    cursor.expect("{", "\"{\"")?;
    let inside = cursor.take_while(|c| c != '{' && c != '}');
    cursor.expect("}", "\"}\"")?;
    Ok(format!("{{{inside}}}"))
}

fn list(cursor: &mut Cursor<'_>) -> Parsed<Vec<String>> {
    cursor.skip_spaces();
    cursor.expect("(", "\"(\"")?;
    cursor.skip_spaces();
    let items = cursor.separated(",", |cursor| match cursor.attempt(closed_quote) {
        Ok(quoted) => Ok(quoted),
        Err(_) => Ok(plain_value(cursor)),
    })?;
    cursor.expect(")", "\")\"")?;
    cursor.skip_spaces();
    Ok(items)
}

/// `field.condition`, an element of a logic group.
pub(crate) fn listed_filter(cursor: &mut Cursor<'_>) -> Parsed<Filter> {
    let field = field(cursor)?;
    cursor.expect(".", "delimiter (.)")?;
    Ok(Filter {
        field,
        condition: condition(cursor, ValueEnd::ListItem)?,
    })
}
