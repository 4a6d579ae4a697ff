//! Names, JSON paths and quoted values: the words that every other part of the grammar is made of.

use super::cursor::{Cursor, Parsed};

/// A column, or a value inside it: `data->a->>0`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) path: Vec<JsonStep>,
}

/// One arrow of a JSON path.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct JsonStep {
    /// `->>` instead of `->`.
    pub(crate) as_text: bool,
    pub(crate) operand: JsonOperand,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum JsonOperand {
    Key(String),
    Index(i32),
}

impl JsonStep {
    /// The name that a selected path gets when it has no alias.
    pub(crate) fn key(&self) -> Option<&str> {
        match &self.operand {
            JsonOperand::Key(key) => Some(key),
            JsonOperand::Index(_) => None,
        }
    }
}

/// A dot, by its name.
pub(crate) fn delimiter(cursor: &mut Cursor<'_>) -> Parsed<()> {
    cursor.one(|c| c == '.', "delimiter (.)").map(drop)
}

/// Letters, digits, `_`, `$` and spaces; those around it are cut off.
pub(crate) fn identifier(cursor: &mut Cursor<'_>) -> Parsed<String> {
    words(cursor).map(|word| word.trim().to_owned())
}

fn words<'a>(cursor: &mut Cursor<'a>) -> Parsed<&'a str> {
    let wanted = |c: char| c.is_alphanumeric() || matches!(c, '_' | ' ' | '$');
    let text = cursor.take_while(wanted);
    // Said after the fact: what the name could have gone on with.
    let _: Parsed<()> = cursor.miss("letter");
    let missed = cursor.miss("digit");
    if text.is_empty() { missed } else { Ok(text) }
}

/// `name`, `two words`, `with-dash`, or `"anything, quoted"`.
pub(crate) fn name(cursor: &mut Cursor<'_>) -> Parsed<String> {
    cursor.named("field name (* or [a..z0..9_$])", |cursor| {
        cursor.either(quoted, |cursor| {
            let parts = cursor.separated(dash, identifier)?;
            Ok(parts.join("-"))
        })
    })
}

/// A dash belongs to the name, an arrow begins a JSON path.
fn dash(cursor: &mut Cursor<'_>) -> Parsed<()> {
    cursor.attempt(|cursor| {
        cursor.one(|c| c == '-', "\"-\"")?;
        cursor.not_before(|c| c == '>')
    })
}

/// `"…"` with backslash escapes.
pub(crate) fn quoted(cursor: &mut Cursor<'_>) -> Parsed<String> {
    cursor.one(|c| c == '"', "\"\\\"\"")?;
    let mut value = String::new();
    loop {
        value.push_str(cursor.take_while(|c| c != '"' && c != '\\'));
        if cursor.peek() == Some('\\') {
            cursor.one(|_| true, "\"\\\\\"")?;
            value.push(cursor.one(|_| true, "")?);
        } else {
            cursor.one(|c| c == '"', "\"\\\"\"")?;
            return Ok(value);
        }
    }
}

/// A name with spaces around it removed, then an optional JSON path.
pub(crate) fn field(cursor: &mut Cursor<'_>) -> Parsed<Field> {
    cursor.spaced(|cursor| {
        Ok(Field {
            name: name(cursor)?,
            path: json_path(cursor)?,
        })
    })
}

/// Most arrows in a JSON path. PostgreSQL runs out of stack at some thousands.
const MAX_STEPS: usize = 256;

pub(crate) fn json_path(cursor: &mut Cursor<'_>) -> Parsed<Vec<JsonStep>> {
    let path = cursor.many(|cursor| {
        let as_text = cursor.either(
            |cursor| cursor.attempt(|c| c.text("->>", "\"->>\"")).map(|()| true),
            |cursor| cursor.attempt(|c| c.text("->", "\"->\"")).map(|()| false),
        )?;
        let operand = cursor.either(
            |cursor| cursor.attempt(json_index).map(JsonOperand::Index),
            |cursor| cursor.attempt(json_key).map(JsonOperand::Key),
        )?;
        Ok(JsonStep { as_text, operand })
    })?;
    if path.len() > MAX_STEPS {
        return cursor.miss("at most 256 arrows");
    }
    Ok(path)
}

fn json_index(cursor: &mut Cursor<'_>) -> Parsed<i32> {
    let negative = cursor.maybe(|cursor| cursor.one(|c| c == '-', "\"-\""))?;
    let digits = cursor.take_while(|c| c.is_ascii_digit());
    let missed = cursor.miss("digit");
    let Ok(index) = digits.parse::<i32>() else {
        return missed;
    };
    // A parenthesis may end it, too, inside an embedded resource.
    if cursor.peek() != Some(')') {
        index_end(cursor)?;
    }
    Ok(if negative.is_some() { -index } else { index })
}

fn index_end(cursor: &mut Cursor<'_>) -> Parsed<()> {
    for (next, shown) in [
        ("->", "\"->\""),
        ("::", "\"::\""),
        (".", "\".\""),
        (",", "\",\""),
    ] {
        if cursor.ahead(|cursor| cursor.text(next, shown)).is_ok() {
            return Ok(());
        }
    }
    cursor.end()
}

fn json_key(cursor: &mut Cursor<'_>) -> Parsed<String> {
    cursor.named(
        "any non reserved character different from: .,>()",
        |cursor| {
            cursor.either(quoted, |cursor| {
                let part = |cursor: &mut Cursor<'_>| {
                    let part = cursor.take_while(|c| !"(-:.,>)".contains(c));
                    if part.is_empty() {
                        return cursor.miss("");
                    }
                    Ok(part.trim().to_owned())
                };
                Ok(cursor.separated(dash, part)?.join("-"))
            })
        },
    )
}
