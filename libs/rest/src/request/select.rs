//! The `select` parameter: columns, aliases, casts, aggregates and embedded resources.

use super::cursor::{Cursor, Parsed};
use super::field::{Field, field, name};

/// One element of `select`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SelectItem {
    Column(SelectColumn),
    Relation(SelectRelation),
}

/// `alias:field::cast.aggregate()::aggregate_cast`
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SelectColumn {
    pub(crate) field: Field,
    pub(crate) alias: Option<String>,
    pub(crate) cast: Option<String>,
    pub(crate) aggregate: Option<Aggregate>,
    pub(crate) aggregate_cast: Option<String>,
}

impl SelectColumn {
    /// A plain column without anything around it.
    pub(crate) fn plain(name: &str) -> Self {
        Self {
            field: Field {
                name: name.to_owned(),
                path: Vec::new(),
            },
            alias: None,
            cast: None,
            aggregate: None,
            aggregate_cast: None,
        }
    }

    pub(crate) fn is_star(&self) -> bool {
        self.field.name == "*" && self.field.path.is_empty() && self.aggregate.is_none()
    }
}

/// `alias:relation!hint!inner(…)` or `...relation(…)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SelectRelation {
    pub(crate) name: String,
    pub(crate) alias: Option<String>,
    pub(crate) hint: Option<String>,
    pub(crate) inner: bool,
    /// `...`: the columns are lifted into the parent.
    pub(crate) spread: bool,
    pub(crate) items: Vec<SelectItem>,
}

/// Aggregate functions of the dialect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Aggregate {
    Sum,
    Avg,
    Count,
    Max,
    Min,
}

impl Aggregate {
    pub(crate) const fn sql(self) -> &'static str {
        match self {
            Self::Sum => "sum",
            Self::Avg => "avg",
            Self::Count => "count",
            Self::Max => "max",
            Self::Min => "min",
        }
    }
}

pub(crate) fn items(cursor: &mut Cursor<'_>) -> Parsed<Vec<SelectItem>> {
    cursor.skip_spaces();
    if cursor.at_end() || cursor.peek() == Some(')') {
        return Ok(Vec::new());
    }
    cursor.separated(",", item)
}

fn item(cursor: &mut Cursor<'_>) -> Parsed<SelectItem> {
    cursor.skip_spaces();
    let parsed = if cursor.eat("...") {
        relation(cursor, true).map(SelectItem::Relation)
    } else {
        match cursor.attempt(|c| relation_head(c, false)) {
            Ok(head) => children(cursor, head).map(SelectItem::Relation),
            Err(_) => column(cursor).map(SelectItem::Column),
        }
    };
    cursor.skip_spaces();
    parsed
}

fn relation(cursor: &mut Cursor<'_>, spread: bool) -> Parsed<SelectRelation> {
    let head = relation_head(cursor, spread)?;
    children(cursor, head)
}

fn children(cursor: &mut Cursor<'_>, mut head: SelectRelation) -> Parsed<SelectRelation> {
    cursor.nested(|cursor| {
        head.items = items(cursor)?;
        cursor.expect(")", "\")\"")?;
        Ok(head)
    })
}

/// Everything up to and with the opening parenthesis.
fn relation_head(cursor: &mut Cursor<'_>, spread: bool) -> Parsed<SelectRelation> {
    let alias = if spread { None } else { alias(cursor) };
    let name = name(cursor)?;
    // `count()` is an aggregate, not a relation.
    if name == "count" && cursor.rest().starts_with("()") {
        return cursor.miss("relation name");
    }
    let (mut hint, mut inner) = (None, false);
    for _ in 0..2 {
        if !cursor.eat("!") {
            break;
        }
        match self::name(cursor)?.as_str() {
            "inner" => inner = true,
            "left" => {}
            other => hint = Some(other.to_owned()),
        }
    }
    cursor.expect("(", "\"(\"")?;
    Ok(SelectRelation {
        name,
        alias,
        hint,
        inner,
        spread,
        items: Vec::new(),
    })
}

fn alias(cursor: &mut Cursor<'_>) -> Option<String> {
    cursor
        .attempt(|cursor| {
            let alias = name(cursor)?;
            if cursor.rest().starts_with("::") {
                return cursor.miss("\":\"");
            }
            cursor.expect(":", "\":\"")?;
            Ok(alias)
        })
        .ok()
}

fn column(cursor: &mut Cursor<'_>) -> Parsed<SelectColumn> {
    if cursor.eat("*") {
        return item_end(cursor).map(|()| SelectColumn::plain("*"));
    }
    let alias = alias(cursor);
    if cursor.eat("count()") {
        let mut column = SelectColumn::plain("*");
        column.alias = alias;
        column.aggregate = Some(Aggregate::Count);
        column.aggregate_cast = cast(cursor)?;
        return item_end(cursor).map(|()| column);
    }
    let field = field(cursor)?;
    let cast_before = cast(cursor)?;
    let aggregate = cursor.attempt(aggregate).ok();
    let aggregate_cast = if aggregate.is_some() {
        cast(cursor)?
    } else {
        None
    };
    item_end(cursor)?;
    Ok(SelectColumn {
        field,
        alias,
        cast: cast_before,
        aggregate,
        aggregate_cast,
    })
}

fn aggregate(cursor: &mut Cursor<'_>) -> Parsed<Aggregate> {
    cursor.expect(".", "\".\"")?;
    let aggregate = match cursor.take_while(|c| c.is_ascii_alphabetic()) {
        "sum" => Aggregate::Sum,
        "avg" => Aggregate::Avg,
        "count" => Aggregate::Count,
        "max" => Aggregate::Max,
        "min" => Aggregate::Min,
        _ => return cursor.miss("aggregate function (sum, avg, count, max, min)"),
    };
    cursor.expect("()", "\"()\"")?;
    Ok(aggregate)
}

fn cast(cursor: &mut Cursor<'_>) -> Parsed<Option<String>> {
    if !cursor.eat("::") {
        return Ok(None);
    }
    let name = cursor.take_while(|c| c.is_alphanumeric() || matches!(c, '_' | ' ' | '$'));
    if name.trim().is_empty() {
        return cursor.miss("type name");
    }
    Ok(Some(name.trim().to_owned()))
}

fn item_end(cursor: &mut Cursor<'_>) -> Parsed<()> {
    cursor.skip_spaces();
    match cursor.peek() {
        None | Some(',' | ')') => Ok(()),
        _ => cursor.miss("\",\""),
    }
}
