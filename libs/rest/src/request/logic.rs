//! `and`/`or` groups and the keys that carry them.

use super::condition::{Filter, listed_filter};
use super::cursor::{Cursor, Parsed};
use super::field::delimiter;

/// A tree of conditions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Logic {
    Filter(Filter),
    Group {
        negated: bool,
        any: bool,
        members: Vec<Logic>,
    },
}

/// A condition, or a group.
fn tree(cursor: &mut Cursor<'_>) -> Parsed<Logic> {
    cursor.either(
        |cursor| cursor.attempt(listed_filter).map(Logic::Filter),
        group,
    )
}

/// A whole group: `or(a.eq.1,not.and(…))`.
pub(crate) fn group(cursor: &mut Cursor<'_>) -> Parsed<Logic> {
    let negated = cursor.named("negation operator (not)", |cursor| {
        cursor.maybe(|cursor| {
            cursor.attempt(|cursor| {
                cursor.text("not", "\"not\"")?;
                delimiter(cursor)
            })
        })
    })?;
    let any = cursor.named("logic operator (and, or)", |cursor| {
        cursor.either(
            |cursor| cursor.attempt(|c| c.text("and", "\"and\"")).map(|()| false),
            |cursor| cursor.text("or", "\"or\"").map(|()| true),
        )
    })?;
    cursor.nested(|cursor| {
        cursor.spaced(|cursor| cursor.one(|c| c == '(', "\"(\""))?;
        let comma =
            |cursor: &mut Cursor<'_>| cursor.spaced(|c| c.one(|c| c == ',', "\",\"")).map(drop);
        let members = cursor.separated(comma, tree)?;
        cursor.spaced(|cursor| cursor.one(|c| c == ')', "\")\""))?;
        Ok(Logic::Group {
            negated: negated.is_some(),
            any,
            members,
        })
    })
}
