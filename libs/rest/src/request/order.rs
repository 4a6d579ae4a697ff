//! The `order` parameter.

use super::cursor::{Cursor, Parsed};
use super::field::{Field, delimiter, field, name};

/// One element of `order`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OrderTerm {
    /// The embedded resource whose column decides, if not the resource itself.
    pub(crate) relation: Option<String>,
    pub(crate) field: Field,
    pub(crate) descending: Option<bool>,
    pub(crate) nulls_first: Option<bool>,
}

pub(crate) fn terms(cursor: &mut Cursor<'_>) -> Parsed<Vec<OrderTerm>> {
    let comma = |cursor: &mut Cursor<'_>| cursor.one(|c| c == ',', "\",\"").map(drop);
    cursor.separated(comma, |cursor| {
        cursor.spaced(|cursor| {
            cursor.either(
                |cursor| cursor.attempt(|cursor| term(cursor, true)),
                |cursor| term(cursor, false),
            )
        })
    })
}

fn term(cursor: &mut Cursor<'_>, related: bool) -> Parsed<OrderTerm> {
    let relation = if related { Some(name(cursor)?) } else { None };
    if related {
        cursor.one(|c| c == '(', "\"(\"")?;
    }
    let field = field(cursor)?;
    if related {
        cursor.one(|c| c == ')', "\")\"")?;
    }
    let descending = cursor.maybe(|cursor| {
        choice(
            cursor,
            [("asc", "\"asc\"", false), ("desc", "\"desc\"", true)],
        )
    })?;
    let nulls_first = cursor.maybe(|cursor| {
        choice(
            cursor,
            [
                ("nullsfirst", "\"nullsfirst\"", true),
                ("nullslast", "\"nullslast\"", false),
            ],
        )
    })?;
    cursor.skip_spaces();
    cursor.either(
        |cursor| cursor.ahead(|cursor| cursor.one(|c| c == ',', "\",\"")),
        Cursor::end,
    )?;
    Ok(OrderTerm {
        relation,
        field,
        descending,
        nulls_first,
    })
}

/// `.one` or `.other`
fn choice(
    cursor: &mut Cursor<'_>,
    [first, second]: [(&str, &'static str, bool); 2],
) -> Parsed<bool> {
    let word = |cursor: &mut Cursor<'_>, (text, shown, value): (&str, &'static str, bool)| {
        cursor.attempt(|cursor| {
            delimiter(cursor)?;
            cursor.text(text, shown).map(|()| value)
        })
    };
    cursor.either(|cursor| word(cursor, first), |cursor| word(cursor, second))
}
