//! The `select` parameter: columns, aliases, casts, aggregates and embedded resources.

use super::cursor::{Cursor, Parsed};
use super::field::{Field, field, identifier, name};

/// One element of `select`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SelectItem {
    Column(SelectColumn),
    Relation(SelectRelation),
}

impl SelectItem {
    /// An aggregate is in it.
    pub(crate) fn aggregates(&self) -> bool {
        match self {
            Self::Column(column) => column.aggregate.is_some(),
            Self::Relation(relation) => relation.items.iter().any(Self::aggregates),
        }
    }
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
    let comma = |cursor: &mut Cursor<'_>| cursor.spaced(|c| c.one(|c| c == ',', "\",\"")).map(drop);
    let some = cursor.maybe(|cursor| cursor.separated(comma, item))?;
    Ok(some.unwrap_or_default())
}

fn item(cursor: &mut Cursor<'_>) -> Parsed<SelectItem> {
    let head = |spread: bool| {
        move |cursor: &mut Cursor<'_>| {
            cursor.attempt(|cursor| cursor.spaced(|cursor| relation_head(cursor, spread)))
        }
    };
    let relation = cursor.maybe(|cursor| cursor.either(head(true), head(false)))?;
    match relation {
        Some(head) => children(cursor, head).map(SelectItem::Relation),
        None => cursor.spaced(column).map(SelectItem::Column),
    }
}

fn children(cursor: &mut Cursor<'_>, mut head: SelectRelation) -> Parsed<SelectRelation> {
    cursor.nested(|cursor| {
        cursor.one(|c| c == '(', "\"(\"")?;
        head.items = items(cursor)?;
        cursor.one(|c| c == ')', "\")\"")?;
        // PostgREST has no rule for spaces here; nobody would want an error for one.
        cursor.skip_spaces();
        Ok(head)
    })
}

/// Everything up to the opening parenthesis.
fn relation_head(cursor: &mut Cursor<'_>, spread: bool) -> Parsed<SelectRelation> {
    let alias = if spread {
        cursor.text("...", "\"...\"")?;
        None
    } else {
        alias(cursor)?
    };
    let name = name(cursor)?;
    // `count()` is an aggregate, not a relation.
    if !spread && name == "count" {
        return cursor.miss("");
    }
    let (mut hint, mut inner) = (None, false);
    for _ in 0..2 {
        match cursor.maybe(embed_parameter)?.as_deref() {
            None => break,
            Some("inner") => inner = true,
            Some("left") => {}
            Some(other) => hint = Some(other.to_owned()),
        }
    }
    cursor.ahead(|cursor| cursor.one(|c| c == '(', "\"(\""))?;
    Ok(SelectRelation {
        name,
        alias,
        hint,
        inner,
        spread,
        items: Vec::new(),
    })
}

/// `!hint`, `!inner` or `!left`
fn embed_parameter(cursor: &mut Cursor<'_>) -> Parsed<String> {
    cursor.one(|c| c == '!', "\"!\"")?;
    name(cursor)
}

fn alias(cursor: &mut Cursor<'_>) -> Parsed<Option<String>> {
    cursor.maybe(|cursor| {
        cursor.attempt(|cursor| {
            let alias = name(cursor)?;
            cursor.one(|c| c == ':', "\":\"")?;
            cursor.not_before(|c| c == ':')?;
            Ok(alias)
        })
    })
}

fn column(cursor: &mut Cursor<'_>) -> Parsed<SelectColumn> {
    cursor.either(
        |cursor| {
            cursor.attempt(|cursor| {
                cursor.text("*", "\"*\"")?;
                item_end(cursor).map(|()| SelectColumn::plain("*"))
            })
        },
        |cursor| cursor.either(|cursor| cursor.attempt(count), aliased_field),
    )
}

fn count(cursor: &mut Cursor<'_>) -> Parsed<SelectColumn> {
    let mut column = SelectColumn::plain("*");
    column.alias = alias(cursor)?;
    cursor.text("count()", "\"count()\"")?;
    column.aggregate = Some(Aggregate::Count);
    column.aggregate_cast = cast(cursor)?;
    item_end(cursor).map(|()| column)
}

fn aliased_field(cursor: &mut Cursor<'_>) -> Parsed<SelectColumn> {
    let alias = alias(cursor)?;
    let field = field(cursor)?;
    let cast_before = cast(cursor)?;
    let aggregate = cursor.maybe(|cursor| cursor.attempt(aggregate))?;
    let aggregate_cast = cast(cursor)?;
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
    const WORDS: [(&str, &str, Aggregate); 5] = [
        ("sum", "\"sum\"", Aggregate::Sum),
        ("avg", "\"avg\"", Aggregate::Avg),
        ("count", "\"count\"", Aggregate::Count),
        ("max", "\"max\"", Aggregate::Max),
        ("min", "\"min\"", Aggregate::Min),
    ];
    cursor.one(|c| c == '.', "\".\"")?;
    let mut found = None;
    for (word, shown, aggregate) in WORDS {
        if cursor.attempt(|c| c.text(word, shown)).is_ok() {
            found = Some(aggregate);
            break;
        }
    }
    let Some(aggregate) = found else {
        return cursor.miss("");
    };
    cursor.text("()", "\"()\"")?;
    Ok(aggregate)
}

fn cast(cursor: &mut Cursor<'_>) -> Parsed<Option<String>> {
    cursor.maybe(|cursor| {
        cursor.text("::", "\"::\"")?;
        identifier(cursor)
    })
}

fn item_end(cursor: &mut Cursor<'_>) -> Parsed<()> {
    cursor.skip_spaces();
    for (end, shown) in [(')', "\")\""), (',', "\",\"")] {
        if cursor
            .ahead(|cursor| cursor.one(|c| c == end, shown))
            .is_ok()
        {
            return Ok(());
        }
    }
    cursor.end()
}
