//! The `order` parameter.

use super::cursor::{Cursor, Parsed};
use super::field::{Field, field, name};

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
    cursor.separated(",", term)
}

fn term(cursor: &mut Cursor<'_>) -> Parsed<OrderTerm> {
    cursor.skip_spaces();
    let (relation, field) = match cursor.attempt(related) {
        Ok((relation, field)) => (Some(relation), field),
        Err(_) => (None, field(cursor)?),
    };
    let descending = match () {
        () if cursor.eat(".asc") => Some(false),
        () if cursor.eat(".desc") => Some(true),
        () => None,
    };
    let nulls_first = match () {
        () if cursor.eat(".nullsfirst") => Some(true),
        () if cursor.eat(".nullslast") => Some(false),
        () => None,
    };
    cursor.skip_spaces();
    match cursor.peek() {
        None | Some(',') => Ok(OrderTerm {
            relation,
            field,
            descending,
            nulls_first,
        }),
        Some(_) if descending.is_some() => cursor.miss("nulls direction (nullsfirst or nullslast)"),
        Some(_) => cursor.miss("order direction (asc or desc)"),
    }
}

fn related(cursor: &mut Cursor<'_>) -> Parsed<(String, Field)> {
    let relation = name(cursor)?;
    cursor.expect("(", "\"(\"")?;
    let field = field(cursor)?;
    cursor.expect(")", "\")\"")?;
    Ok((relation, field))
}
