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

fn is_name_character(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | ' ' | '$')
}

/// `name`, `two words`, `with-dash`, or `"anything, quoted"`.
pub(crate) fn name(cursor: &mut Cursor<'_>) -> Parsed<String> {
    const EXPECTED: &str = "field name (* or [a..z0..9_$])";
    if cursor.peek() == Some('"') {
        return quoted(cursor);
    }
    let mut name = String::new();
    loop {
        let part = cursor.take_while(is_name_character);
        if part.is_empty() {
            return cursor.miss(EXPECTED);
        }
        name.push_str(part);
        // A dash belongs to the name, an arrow begins a JSON path.
        if cursor.rest().starts_with('-') && !cursor.rest().starts_with("->") {
            cursor.bump();
            name.push('-');
        } else {
            return Ok(name.trim().to_owned());
        }
    }
}

/// `"…"` with backslash escapes.
pub(crate) fn quoted(cursor: &mut Cursor<'_>) -> Parsed<String> {
    cursor.expect("\"", "\"\\\"\"")?;
    let mut value = String::new();
    loop {
        match cursor.bump() {
            Some('"') => return Ok(value),
            Some('\\') => match cursor.bump() {
                Some(escaped) => value.push(escaped),
                None => return cursor.miss("any character"),
            },
            Some(other) => value.push(other),
            None => return cursor.miss("\"\\\"\""),
        }
    }
}

/// A name with spaces around it removed, then an optional JSON path.
pub(crate) fn field(cursor: &mut Cursor<'_>) -> Parsed<Field> {
    cursor.skip_spaces();
    let name = name(cursor)?;
    let path = json_path(cursor)?;
    cursor.skip_spaces();
    Ok(Field { name, path })
}

pub(crate) fn json_path(cursor: &mut Cursor<'_>) -> Parsed<Vec<JsonStep>> {
    let mut steps = Vec::new();
    while cursor.eat("->") {
        let as_text = cursor.eat(">");
        let operand = match cursor.attempt(json_index) {
            Ok(index) => JsonOperand::Index(index),
            Err(_) => JsonOperand::Key(json_key(cursor)?),
        };
        steps.push(JsonStep { as_text, operand });
    }
    Ok(steps)
}

fn json_index(cursor: &mut Cursor<'_>) -> Parsed<i32> {
    let negative = cursor.eat("-");
    let digits = cursor.take_while(|c| c.is_ascii_digit());
    let rest = cursor.rest();
    let ends = rest.is_empty()
        || ["->", "::", ".", ",", ")"]
            .iter()
            .any(|next| rest.starts_with(next));
    match digits.parse::<i32>() {
        Ok(index) if ends => Ok(if negative { -index } else { index }),
        _ => cursor.miss("digit"),
    }
}

fn json_key(cursor: &mut Cursor<'_>) -> Parsed<String> {
    if cursor.peek() == Some('"') {
        return quoted(cursor);
    }
    let mut key = String::new();
    loop {
        let part = cursor.take_while(|c| !"(-:.,>)".contains(c));
        if part.is_empty() {
            return cursor.miss("any non reserved character different from: .,>()");
        }
        key.push_str(part);
        if cursor.rest().starts_with('-') && !cursor.rest().starts_with("->") {
            cursor.bump();
            key.push('-');
        } else {
            return Ok(key);
        }
    }
}
