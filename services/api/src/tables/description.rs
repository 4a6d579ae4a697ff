//! Tables as callers describe them and as they are shown: the shapes of the wire, and what is wrong
//! with values by themselves.

use ingot_http::Validate;
use serde::{Deserialize, Serialize};

/// Longest table or column name of the API, in characters.
const MAX_NAME: usize = 64;

/// A column as callers describe it.
#[derive(Debug, Clone, Deserialize, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct NewColumn {
    #[schema(min_length = 1, max_length = 64)]
    pub(super) column_name: String,
    /// string, date, datetime, integer, float, boolean, uuid or json.
    #[serde(rename = "type")]
    #[schema(pattern = "^(string|date|datetime|integer|float|boolean|uuid|json)$")]
    pub(super) column_type: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) default_value: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) is_primary_key: Option<bool>,
    pub(super) is_nullable: bool,
    pub(super) is_unique: bool,
}

impl NewColumn {
    fn validate(&self, path: &str, complain: &mut dyn FnMut(&str, &str)) {
        check_length(&format!("{path}.columnName"), &self.column_name, complain);
        let default = self.default_value.as_deref().unwrap_or_default();
        check_text(&format!("{path}.defaultValue"), default, complain);
    }
}

/// A foreign key as callers describe it and as tables are described.
#[derive(Debug, Clone, Deserialize, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ForeignKey {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) constraint_name: Option<String>,
    pub(super) reference_table: String,
    pub(super) reference_columns: Vec<ColumnPair>,
    pub(super) on_delete: Action,
    pub(super) on_update: Action,
}

/// One pair of columns of a foreign key.
#[derive(Debug, Clone, Deserialize, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ColumnPair {
    pub(super) source_column: String,
    pub(super) reference_column: String,
}

/// What a foreign key does when the referenced row goes or changes.
#[allow(clippy::enum_variant_names, reason = "the names are those of SQL")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, utoipa::ToSchema)]
pub(super) enum Action {
    #[serde(rename = "CASCADE")]
    Cascade,
    #[serde(rename = "SET NULL")]
    SetNull,
    #[serde(rename = "SET DEFAULT")]
    SetDefault,
    #[serde(rename = "RESTRICT")]
    Restrict,
    #[serde(rename = "NO ACTION")]
    NoAction,
}

impl ForeignKey {
    fn validate(&self, path: &str, complain: &mut dyn FnMut(&str, &str)) {
        if self.reference_table.is_empty() {
            complain(&format!("{path}.referenceTable"), "must not be empty");
        }
        if self.reference_columns.is_empty() {
            complain(&format!("{path}.referenceColumns"), "must not be empty");
        }
        for (index, pair) in self.reference_columns.iter().enumerate() {
            for (field, name) in [
                ("sourceColumn", &pair.source_column),
                ("referenceColumn", &pair.reference_column),
            ] {
                if name.is_empty() {
                    let path = format!("{path}.referenceColumns.{index}.{field}");
                    complain(&path, "must not be empty");
                }
            }
        }
    }
}

fn check_length(path: &str, name: &str, complain: &mut dyn FnMut(&str, &str)) {
    if !(1..=MAX_NAME).contains(&name.chars().count()) {
        complain(path, "must have 1 to 64 characters");
    }
}

fn check_text(path: &str, text: &str, complain: &mut dyn FnMut(&str, &str)) {
    if text.contains('\0') {
        complain(path, "must not contain NUL characters");
    }
}

fn yes() -> bool {
    true
}

/// Body of `POST /tables`.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct NewTable {
    #[schema(min_length = 1, max_length = 64)]
    pub(super) table_name: String,
    #[schema(min_items = 1)]
    pub(super) columns: Vec<NewColumn>,
    #[serde(default)]
    pub(super) foreign_keys: Vec<ForeignKey>,
    #[serde(default = "yes")]
    pub(super) rls_enabled: bool,
}

impl Validate for NewTable {
    fn validate(&self, complain: &mut dyn FnMut(&str, &str)) {
        check_length("tableName", &self.table_name, complain);
        if self.columns.is_empty() {
            complain("columns", "must not be empty");
        }
        for (index, column) in self.columns.iter().enumerate() {
            column.validate(&format!("columns.{index}"), complain);
        }
        for (index, key) in self.foreign_keys.iter().enumerate() {
            key.validate(&format!("foreignKeys.{index}"), complain);
        }
    }
}

/// Body of `PATCH /tables/:table/schema`.
#[derive(Debug, Default, Deserialize, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct TableChanges {
    pub(super) add_columns: Vec<NewColumn>,
    pub(super) drop_columns: Vec<String>,
    pub(super) update_columns: Vec<ColumnChange>,
    pub(super) add_foreign_keys: Vec<ForeignKey>,
    pub(super) drop_foreign_keys: Vec<String>,
    pub(super) rename_table: Option<NewName>,
}

/// New name or default of a column.
#[derive(Debug, Deserialize, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ColumnChange {
    pub(super) column_name: String,
    /// Empty means that the default goes.
    #[serde(default)]
    pub(super) default_value: Option<String>,
    #[serde(default)]
    pub(super) new_column_name: Option<String>,
}

/// New name of a table.
#[derive(Debug, Deserialize, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct NewName {
    pub(super) new_table_name: String,
}

impl Validate for TableChanges {
    fn validate(&self, complain: &mut dyn FnMut(&str, &str)) {
        for (index, column) in self.add_columns.iter().enumerate() {
            column.validate(&format!("addColumns.{index}"), complain);
        }
        for (index, change) in self.update_columns.iter().enumerate() {
            let path = format!("updateColumns.{index}");
            let default = change.default_value.as_deref().unwrap_or_default();
            check_text(&format!("{path}.defaultValue"), default, complain);
            if let Some(name) = &change.new_column_name {
                check_length(&format!("{path}.newColumnName"), name, complain);
            }
        }
        for (index, key) in self.add_foreign_keys.iter().enumerate() {
            key.validate(&format!("addForeignKeys.{index}"), complain);
        }
        if let Some(new) = &self.rename_table {
            check_length("renameTable.newTableName", &new.new_table_name, complain);
        }
    }
}
