//! `and`/`or` groups and the keys that carry them.

use super::condition::{Filter, listed_filter};
use super::cursor::{Cursor, Parsed};

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

/// A whole group: `or(a.eq.1,not.and(…))`.
pub(crate) fn group(cursor: &mut Cursor<'_>) -> Parsed<Logic> {
    let head = cursor.attempt(group_head)?;
    group_members(cursor, head)
}

/// A group, or a condition of one.
fn tree(cursor: &mut Cursor<'_>) -> Parsed<Logic> {
    cursor.skip_spaces();
    if let Ok(head) = cursor.attempt(group_head) {
        return group_members(cursor, head);
    }
    let filter = listed_filter(cursor)?;
    cursor.skip_spaces();
    Ok(Logic::Filter(filter))
}

fn group_members(cursor: &mut Cursor<'_>, (negated, any): (bool, bool)) -> Parsed<Logic> {
    cursor.nested(|cursor| {
        let members = cursor.separated(",", tree)?;
        cursor.skip_spaces();
        cursor.expect(")", "\")\"")?;
        cursor.skip_spaces();
        Ok(Logic::Group {
            negated,
            any,
            members,
        })
    })
}

/// Negated or not, and whether any member suffices.
fn group_head(cursor: &mut Cursor<'_>) -> Parsed<(bool, bool)> {
    let negated = cursor.eat("not.");
    let any = if cursor.eat("and") {
        false
    } else if cursor.eat("or") {
        true
    } else {
        return cursor.miss("logic operator (and, or)");
    };
    cursor.skip_spaces();
    cursor.expect("(", "\"(\"")?;
    Ok((negated, any))
}
