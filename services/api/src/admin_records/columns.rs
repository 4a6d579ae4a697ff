//! The columns of a table, and how values of callers become SQL for them.

use std::collections::BTreeMap;

use ingot_http::ApiError;
use serde_json::value::RawValue;

use crate::database::{JsonKind, TableName, json_text, quote, quote_literal};

/// A column as the catalogue has it.
#[derive(Debug, Clone)]
pub(super) struct Column {
    pub(super) name: String,
    /// Whether an empty text is a value of it.
    pub(super) is_text: bool,
    pub(super) is_nullable: bool,
    pub(super) is_key: bool,
    pub(super) kind: JsonKind,
}

/// A table with at least one column.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) name: TableName,
    pub(super) columns: Vec<Column>,
}

/// Fields of a row as a caller sends them.
pub(super) type Fields = BTreeMap<String, Box<RawValue>>;

/// What an empty text means for a column that holds no texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Blank {
    /// As if the field were not there (contract, database §5.3).
    Skip,
    /// NULL where that is allowed (contract, database §5.4).
    Null,
}

impl Table {
    pub(super) fn column(&self, name: &str) -> Result<&Column, ApiError> {
        let found = self.columns.iter().find(|column| column.name == name);
        found.ok_or_else(|| {
            ApiError::invalid_input(format!(
                "Column `{name}` does not exist on {}",
                self.name.dotted()
            ))
            .with_hint("GET the table's schema to see its columns")
        })
    }

    /// Names and values to write, both as SQL.
    pub(super) fn assignments(
        &self,
        fields: &Fields,
        blank: Blank,
    ) -> Result<Vec<(String, String)>, ApiError> {
        let mut assignments = Vec::new();
        for (name, value) in fields {
            let column = self.column(name)?;
            let literal = match json_text(value, column.kind) {
                None => "NULL".to_owned(),
                Some(text) if text.is_empty() && !column.is_text => match blank {
                    Blank::Skip => continue,
                    Blank::Null if column.is_nullable => "NULL".to_owned(),
                    Blank::Null => {
                        return Err(ApiError::invalid_input(format!(
                            "data.{name}: must not be empty"
                        ))
                        .with_hint("Send a value; the column allows no NULL"));
                    }
                },
                Some(text) => literal(name, &text)?,
            };
            assignments.push((quote(name), literal));
        }
        Ok(assignments)
    }

    /// The condition that finds the row with these keys: exactly the primary key's columns, where
    /// there is one.
    pub(super) fn key_condition(&self, keys: &Fields) -> Result<String, ApiError> {
        let mut primary: Vec<&str> = self
            .columns
            .iter()
            .filter(|column| column.is_key)
            .map(|column| column.name.as_str())
            .collect();
        primary.sort_unstable();
        if !primary.is_empty() && !keys.keys().map(String::as_str).eq(primary.iter().copied()) {
            return Err(ApiError::invalid_input(format!(
                "pkKeys: must have exactly the columns of the primary key: {}",
                primary.join(", ")
            )));
        }
        let mut conditions = Vec::new();
        for (name, value) in keys {
            let column = self.column(name)?;
            if matches!(value.get().as_bytes().first(), Some(b'{' | b'[')) {
                return Err(ApiError::invalid_input(format!(
                    "pkKeys.{name}: must be a text, a number, a boolean or null"
                )));
            }
            conditions.push(match json_text(value, column.kind) {
                None => format!("{} IS NULL", quote(name)),
                Some(text) => format!("{} = {}", quote(name), literal(name, &text)?),
            });
        }
        Ok(format!("({})", conditions.join(" AND ")))
    }

    /// The condition that a column has this value.
    pub(super) fn equality(&self, name: &str, value: &str) -> Result<String, ApiError> {
        self.column(name)?;
        Ok(format!("{} = {}", quote(name), literal(name, value)?))
    }

    /// The condition that some text contains the words, in any case; `None` without texts.
    pub(super) fn search(&self, words: &str) -> Result<Option<String>, ApiError> {
        let escaped = words
            .replace('\\', "\\\\")
            .replace('%', "\\%")
            .replace('_', "\\_");
        let pattern = literal("search", &format!("%{escaped}%"))?;
        let texts: Vec<_> = self
            .columns
            .iter()
            .filter(|column| column.is_text)
            .map(|column| format!("{}::text ILIKE {pattern}", quote(&column.name)))
            .collect();
        Ok((!texts.is_empty()).then(|| format!("({})", texts.join(" OR "))))
    }
}

fn literal(name: &str, text: &str) -> Result<String, ApiError> {
    if text.contains('\0') {
        return Err(ApiError::invalid_input(format!(
            "{name}: texts in PostgreSQL cannot contain NUL characters"
        )));
    }
    Ok(quote_literal(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let column = |name: &str, is_text, is_nullable, is_key| Column {
            name: name.to_owned(),
            is_text,
            is_nullable,
            is_key,
            kind: JsonKind::Other,
        };
        Table {
            name: TableName::new("public", "t").unwrap(),
            columns: vec![
                column("id", false, false, true),
                column("name", true, true, false),
                column("n", false, true, false),
            ],
        }
    }

    fn fields(json: &str) -> Fields {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn empty_texts_mean_what_the_contract_says() {
        let table = table();
        let written = |json, blank| {
            let assignments = table.assignments(&fields(json), blank)?;
            Ok::<_, ApiError>(assignments.into_iter().map(|(_, v)| v).collect::<Vec<_>>())
        };
        let json = r#"{"id":"","n":"","name":""}"#;
        assert_eq!(written(json, Blank::Skip).unwrap(), ["''"]);
        assert!(written(json, Blank::Null).is_err());
        assert_eq!(written(r#"{"n":""}"#, Blank::Null).unwrap(), ["NULL"]);
        assert_eq!(written(r#"{"n":1.50}"#, Blank::Null).unwrap(), ["'1.50'"]);
        assert!(written(r#"{"x":1}"#, Blank::Skip).is_err());
    }

    #[test]
    fn keys_are_those_of_the_table() {
        let table = table();
        let condition = |json| table.key_condition(&fields(json));
        assert_eq!(condition(r#"{"id":"it's"}"#).unwrap(), "(\"id\" = 'it''s')");
        for wrong in [r#"{"name":1}"#, r#"{"id":1,"name":2}"#, r#"{"id":{}}"#] {
            assert!(condition(wrong).is_err(), "{wrong}");
        }
        assert_eq!(
            table.search("5%_").unwrap().unwrap(),
            "(\"name\"::text ILIKE  E'%5\\\\%\\\\_%')"
        );
    }
}
