//! Operators and their values: what stands to the right of `column=`.

use super::cursor::{Cursor, Parsed};
use super::field::{Field, delimiter, field, identifier, quoted};

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

/// Where a value ends: at the end of the parameter, or at the next comma or parenthesis of a list.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum ValueEnd {
    Parameter,
    ListItem,
}

pub(crate) fn condition(cursor: &mut Cursor<'_>, end: ValueEnd) -> Parsed<Condition> {
    let plain = |negated: bool| {
        move |cursor: &mut Cursor<'_>| {
            let operation = cursor.named("operator (eq, gt, ...)", |c| operation(c, end))?;
            Ok(Condition { negated, operation })
        }
    };
    cursor.either(
        |cursor| {
            cursor.attempt(|cursor| {
                cursor.text("not", "\"not\"")?;
                delimiter(cursor)?;
                plain(true)(cursor)
            })
        },
        plain(false),
    )
}

fn operation(cursor: &mut Cursor<'_>, end: ValueEnd) -> Parsed<Operation> {
    // Every operator is a word; which one it is decides what follows.
    let rest = cursor.rest();
    let length = rest.find(|c: char| !c.is_ascii_alphabetic());
    let word = rest.get(..length.unwrap_or(rest.len())).unwrap_or_default();
    match word {
        "in" => {
            cursor.attempt(|cursor| operator_word(cursor, "in"))?;
            list(cursor).map(Operation::In)
        }
        "is" => {
            cursor.attempt(|cursor| operator_word(cursor, "is"))?;
            truth(cursor).map(Operation::Is)
        }
        "isdistinct" => {
            cursor.attempt(|cursor| operator_word(cursor, "isdistinct"))?;
            Ok(Operation::IsDistinctFrom(value(cursor, end)?))
        }
        _ => {
            if let Some((_, parser)) = SEARCH.iter().find(|(name, _)| *name == word) {
                return cursor.attempt(|cursor| search(cursor, word, *parser, end));
            }
            if let Some((_, operator)) = SIMPLE.iter().find(|(name, _)| *name == word) {
                return cursor.attempt(|cursor| compare(cursor, word, *operator, false, end));
            }
            match QUANTIFIABLE.iter().find(|(name, _)| *name == word) {
                Some((_, operator)) => {
                    cursor.attempt(|cursor| compare(cursor, word, *operator, true, end))
                }
                None => cursor.miss(""),
            }
        }
    }
}

/// A word and its dot.
fn operator_word(cursor: &mut Cursor<'_>, word: &str) -> Parsed<()> {
    cursor.text(word, "")?;
    delimiter(cursor)
}

fn search(
    cursor: &mut Cursor<'_>,
    word: &str,
    parser: SearchParser,
    end: ValueEnd,
) -> Parsed<Operation> {
    cursor.text(word, "")?;
    let language = cursor.maybe(|cursor| {
        cursor.attempt(|cursor| {
            cursor.one(|c| c == '(', "\"(\"")?;
            let language = identifier(cursor)?;
            cursor.one(|c| c == ')', "\")\"")?;
            Ok(language)
        })
    })?;
    delimiter(cursor)?;
    Ok(Operation::Search {
        parser,
        language,
        value: value(cursor, end)?,
    })
}

fn compare(
    cursor: &mut Cursor<'_>,
    word: &str,
    operator: Operator,
    quantifiable: bool,
    end: ValueEnd,
) -> Parsed<Operation> {
    cursor.text(word, "")?;
    let quantifier = if quantifiable {
        cursor.maybe(|cursor| {
            cursor.either(
                |c| {
                    c.attempt(|c| c.text("(any)", "\"(\""))
                        .map(|()| Quantifier::Any)
                },
                |c| {
                    c.attempt(|c| c.text("(all)", "\"(\""))
                        .map(|()| Quantifier::All)
                },
            )
        })?
    } else {
        None
    };
    delimiter(cursor)?;
    Ok(Operation::Compare {
        operator,
        quantifier,
        value: value(cursor, end)?,
    })
}

fn truth(cursor: &mut Cursor<'_>) -> Parsed<Truth> {
    const WORDS: [(&str, Truth); 4] = [
        ("null", Truth::Null),
        ("unknown", Truth::Unknown),
        ("true", Truth::True),
        ("false", Truth::False),
    ];
    cursor.named("null or trilean value (unknown, true, false)", |cursor| {
        for (word, truth) in WORDS {
            if cursor.attempt(|c| in_any_case(c, word)).is_ok() {
                return Ok(truth);
            }
        }
        cursor.miss("")
    })
}

fn in_any_case(cursor: &mut Cursor<'_>, word: &str) -> Parsed<()> {
    for wanted in word.chars() {
        cursor.one(|c| c.eq_ignore_ascii_case(&wanted), "")?;
    }
    Ok(())
}

fn value(cursor: &mut Cursor<'_>, end: ValueEnd) -> Parsed<String> {
    match end {
        ValueEnd::Parameter => Ok(cursor.take_while(|_| true).to_owned()),
        ValueEnd::ListItem => list_value(cursor),
    }
}

/// A value inside `and=(…)`: quoted, an array literal with its commas, or plain.
fn list_value(cursor: &mut Cursor<'_>) -> Parsed<String> {
    cursor.either(
        |cursor| cursor.attempt(closed_quote),
        |cursor| {
            cursor.either(
                |cursor| cursor.attempt(array_literal),
                |cursor| Ok(plain_value(cursor)),
            )
        },
    )
}

fn plain_value(cursor: &mut Cursor<'_>) -> String {
    cursor.take_while(|c| c != ',' && c != ')').to_owned()
}

/// A quoted value is one only if the list goes on right after it.
fn closed_quote(cursor: &mut Cursor<'_>) -> Parsed<String> {
    let value = quoted(cursor)?;
    cursor.not_before(|c| c != ',' && c != ')')?;
    Ok(value)
}

fn array_literal(cursor: &mut Cursor<'_>) -> Parsed<String> {
    cursor.one(|c| c == '{', "\"{\"")?;
    let inside = cursor.take_while(|c| c != '{' && c != '}');
    cursor.one(|c| c == '}', "\"}\"")?;
    Ok(format!("{{{inside}}}"))
}

fn list(cursor: &mut Cursor<'_>) -> Parsed<Vec<String>> {
    cursor.spaced(|cursor| cursor.one(|c| c == '(', "\"(\""))?;
    let comma = |cursor: &mut Cursor<'_>| cursor.one(|c| c == ',', "\",\"").map(drop);
    let items = cursor.separated(comma, |cursor| {
        cursor.either(
            |cursor| cursor.attempt(closed_quote),
            |cursor| Ok(plain_value(cursor)),
        )
    })?;
    cursor.spaced(|cursor| cursor.one(|c| c == ')', "\")\""))?;
    Ok(items)
}

/// `field.condition`, an element of a logic group.
pub(crate) fn listed_filter(cursor: &mut Cursor<'_>) -> Parsed<Filter> {
    let field = field(cursor)?;
    delimiter(cursor)?;
    Ok(Filter {
        field,
        condition: condition(cursor, ValueEnd::ListItem)?,
    })
}
