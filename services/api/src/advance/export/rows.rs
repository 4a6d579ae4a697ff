//! Rows as PostgreSQL's `COPY` writes them, and as the formats of an export want them.

use std::borrow::Cow;

use super::store::Column;
use crate::database::{Values, quote, quote_literal, write_string};

/// The fields of one line of `COPY ... TO STDOUT`, without its line end; `None` is NULL.
pub(super) fn fields(line: &str) -> impl Iterator<Item = Option<Cow<'_, str>>> {
    line.split('\t')
        .map(|field| (field != "\\N").then(|| unescape(field)))
}

fn unescape(field: &str) -> Cow<'_, str> {
    if !field.contains('\\') {
        return Cow::Borrowed(field);
    }
    let mut text = String::with_capacity(field.len());
    let mut chars = field.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            text.push(c);
            continue;
        }
        match chars.next() {
            Some('b') => text.push('\u{8}'),
            Some('f') => text.push('\u{c}'),
            Some('n') => text.push('\n'),
            Some('r') => text.push('\r'),
            Some('t') => text.push('\t'),
            Some('v') => text.push('\u{b}'),
            Some(other) => text.push(other),
            None => {}
        }
    }
    Cow::Owned(text)
}

/// Appends the row as a JSON object.
pub(super) fn write_object(out: &mut String, columns: &[Column], line: &str, values: Values) {
    out.push('{');
    for (index, (column, value)) in columns.iter().zip(fields(line)).enumerate() {
        out.push_str(if index == 0 { "" } else { "," });
        write_string(out, &column.name);
        out.push(':');
        match value {
            None => out.push_str("null"),
            Some(text) => values.write(out, column.type_oid.0, &text),
        }
    }
    out.push('}');
}

/// The part of an `INSERT` before its values.
pub(super) fn insert_head(table: &str, columns: &[Column]) -> String {
    let overriding = if columns.iter().any(|column| column.always_identity) {
        " OVERRIDING SYSTEM VALUE"
    } else {
        ""
    };
    format!(
        "INSERT INTO {table} ({}){overriding} VALUES (",
        names(columns)
    )
}

/// Appends the row's values and the end of the `INSERT`. Values are texts that the column's type
/// reads as it wrote them; whole numbers do without quotes.
pub(super) fn write_values(out: &mut String, columns: &[Column], line: &str) {
    for (index, (column, value)) in columns.iter().zip(fields(line)).enumerate() {
        out.push_str(if index == 0 { "" } else { ", " });
        match value {
            None => out.push_str("NULL"),
            Some(text) if matches!(column.type_oid.0, 20 | 21 | 23) => out.push_str(&text),
            Some(text) => out.push_str(quote_literal(&text).trim_start()),
        }
    }
    out.push_str(");\n");
}

/// The columns as SQL.
pub(super) fn names(columns: &[Column]) -> String {
    let quoted: Vec<_> = columns.iter().map(|column| quote(&column.name)).collect();
    quoted.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use sqlx::postgres::types::Oid;

    fn column(name: &str, type_oid: u32) -> Column {
        Column {
            name: name.to_owned(),
            type_oid: Oid(type_oid),
            always_identity: false,
            computed: false,
        }
    }

    #[test]
    fn lines_become_rows() {
        let columns = [
            column("a", 23),
            column("b \"", 25),
            column("c", 20),
            column("d", 701),
        ];
        let line = "-5\tx\\ty\\\\N'\\n\t\\N\tNaN";
        let mut sql = insert_head("public.t", &columns);
        write_values(&mut sql, &columns, line);
        assert_eq!(
            sql,
            "INSERT INTO public.t (\"a\", \"b \"\"\", \"c\", \"d\") VALUES (-5, E'x\ty\\\\N''\n', NULL, 'NaN');\n"
        );
        let mut json = String::new();
        write_object(&mut json, &columns, line, Values::Json);
        assert_eq!(json, r#"{"a":-5,"b \"":"x\ty\\N'\n","c":null,"d":null}"#);
        json.clear();
        write_object(&mut json, &columns, line, Values::Text);
        assert_eq!(json, r#"{"a":"-5","b \"":"x\ty\\N'\n","c":null,"d":"NaN"}"#);
    }
}
