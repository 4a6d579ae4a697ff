//! What a description of a table comes down to: columns, keys and steps of a change, checked by the
//! rules for reserved columns, names, defaults and foreign keys.

use http::StatusCode;
use ingot_http::{ApiError, Code};
use sha2::{Digest, Sha256};

use super::column::{self, ColumnType};
use super::description::{ColumnPair, ForeignKey, NewColumn, TableChanges};
use super::service::validation;
use super::store::{self, ColumnDefinition, Key, Step};
use crate::database::{TableName, check_identifier, check_new_identifier};

/// Longest name in PostgreSQL, in bytes.
const MAX_IDENTIFIER: usize = 63;

/// The steps in their order (contract, database §3.4), each with its sentence.
pub(super) fn plan(
    table: &TableName,
    changes: &TableChanges,
    present: &[store::Column],
    keys: &[ForeignKey],
) -> Result<Vec<(Step, String)>, ApiError> {
    let added = own_columns(&changes.add_columns)?;
    let own = present
        .iter()
        .filter(|column| column::reserved_type(&column.name).is_none())
        .filter(|column| !changes.drop_columns.contains(&column.name))
        .count();
    if own + added.len() == 0 {
        return Err(validation(
            "A table needs at least one column besides id, created_at and updated_at",
        ));
    }
    let mut steps = Vec::new();
    for name in &changes.drop_foreign_keys {
        if !keys
            .iter()
            .any(|key| key.constraint_name.as_ref() == Some(name))
        {
            return Err(ApiError::new(
                StatusCode::NOT_FOUND,
                Code::DatabaseNotFound,
                format!("Foreign key {name} does not exist on {}", table.dotted()),
            )
            .with_hint("GET the table's schema to see its foreign keys"));
        }
        let told = format!("Dropped foreign key: {name}");
        steps.push((Step::DropConstraint(name.clone()), told));
    }
    for name in &changes.drop_columns {
        refuse_reserved(name, "dropped")?;
        steps.push((
            Step::DropColumn(name.clone()),
            format!("Dropped column: {name}"),
        ));
    }
    for change in &changes.update_columns {
        let name = &change.column_name;
        refuse_reserved(name, "changed")?;
        if let Some(default) = &change.default_value {
            let default = (!default.is_empty()).then(|| column::default_sql(default));
            steps.push((
                Step::SetDefault(name.clone(), default),
                format!("Updated default of column: {name}"),
            ));
        }
        if let Some(new_name) = &change.new_column_name {
            check_new_identifier("column name", new_name)?;
            steps.push((
                Step::RenameColumn(name.clone(), new_name.clone()),
                format!("Renamed column: {name} to {new_name}"),
            ));
        }
    }
    for definition in define(&added)? {
        let told = format!("Added column: {}", definition.name);
        steps.push((Step::AddColumn(definition), told));
    }
    for key in &changes.add_foreign_keys {
        let key = foreign_key(key, &table.schema, StatusCode::NOT_FOUND)?;
        let told = format!(
            "Added foreign key constraint on: {}",
            key.source_columns.join(", ")
        );
        steps.push((Step::AddForeignKey(key), told));
    }
    if let Some(new) = &changes.rename_table {
        check_new_identifier("table name", &new.new_table_name)?;
        let told = format!(
            "Renamed table from {} to {}",
            table.table, new.new_table_name
        );
        steps.push((Step::RenameTable(new.new_table_name.clone()), told));
    }
    Ok(steps)
}

/// The columns without the reserved ones, which every table has anyway.
pub(super) fn own_columns(columns: &[NewColumn]) -> Result<Vec<&NewColumn>, ApiError> {
    let mut own = Vec::new();
    for column in columns {
        match column::reserved_type(&column.column_name) {
            None => own.push(column),
            Some(reserved) if ColumnType::from_name(&column.column_type) == Some(reserved) => {}
            Some(_) => {
                return Err(validation(format!(
                    "Column {} is made automatically and has another type: leave it out",
                    column.column_name
                )));
            }
        }
    }
    Ok(own)
}

pub(super) fn define(columns: &[&NewColumn]) -> Result<Vec<ColumnDefinition>, ApiError> {
    let definition = |(index, column): (usize, &&NewColumn)| {
        check_new_identifier(
            &format!("column name at index {index}"),
            &column.column_name,
        )?;
        let column_type = ColumnType::from_name(&column.column_type).ok_or_else(|| {
            validation(format!(
                "Column {} has the unknown type `{}`: use one of {}",
                column.column_name,
                column.column_type,
                ColumnType::NAMES
            ))
        })?;
        let given = column
            .default_value
            .as_deref()
            .filter(|value| !value.is_empty());
        let natural = column_type
            .natural_default()
            .filter(|_| !column.is_nullable)
            .map(str::to_owned);
        Ok(ColumnDefinition {
            name: column.column_name.clone(),
            sql_type: column_type.sql(),
            is_nullable: column.is_nullable,
            is_unique: column.is_unique,
            default: given.map(column::default_sql).or(natural),
        })
    };
    columns.iter().enumerate().map(definition).collect()
}

/// Checks a foreign key; `reserved_status` is the contract's status for one on a reserved column.
pub(super) fn foreign_key(
    key: &ForeignKey,
    schema: &str,
    reserved_status: StatusCode,
) -> Result<Key, ApiError> {
    let columns = |pick: fn(&ColumnPair) -> &String| -> Vec<String> {
        key.reference_columns
            .iter()
            .map(|pair| pick(pair).clone())
            .collect()
    };
    let source_columns = columns(|pair| &pair.source_column);
    let reference_columns = columns(|pair| &pair.reference_column);
    for name in &source_columns {
        if column::reserved_type(name).is_some() {
            return Err(forbidden(
                reserved_status,
                format!("Column {name} is reserved and cannot have a foreign key"),
            ));
        }
    }
    for name in source_columns.iter().chain(&reference_columns) {
        check_identifier("column name", name)?;
    }
    let reference = TableName::parse(&key.reference_table, schema)?;
    Ok(Key {
        name: constraint_name(&source_columns, &key.reference_table, &reference_columns),
        source_columns,
        reference,
        reference_columns,
        on_delete: key.on_delete,
        on_update: key.on_update,
    })
}

/// `fk_<columns>_<table>_<columns>`; a name that PostgreSQL would cut gets a digest of the whole.
fn constraint_name(source: &[String], table: &str, reference: &[String]) -> String {
    let table = table.replace('.', "_");
    let name = format!("fk_{}_{table}_{}", source.join("_"), reference.join("_"));
    if name.len() <= MAX_IDENTIFIER {
        return name;
    }
    let digest = hex::encode(Sha256::digest(name.as_bytes()));
    let mut short: String = name;
    let mut end = 54;
    while !short.is_char_boundary(end) {
        end -= 1;
    }
    short.truncate(end);
    short.push('_');
    short.extend(digest.chars().take(8));
    short
}

fn refuse_reserved(column: &str, what: &str) -> Result<(), ApiError> {
    if column::reserved_type(column).is_none() {
        return check_identifier("column name", column);
    }
    // The contract's status; clients know it.
    Err(forbidden(
        StatusCode::NOT_FOUND,
        format!("Column {column} is reserved and cannot be {what}"),
    ))
}

fn forbidden(status: StatusCode, message: String) -> ApiError {
    ApiError::new(status, Code::DatabaseForbidden, message)
        .with_hint("id, created_at and updated_at are kept by the platform")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_constraint_names_stay_unique() {
        let name =
            |column: &str| constraint_name(&[column.to_owned()], "auth.users", &["id".into()]);
        assert_eq!(name("user_id"), "fk_user_id_auth_users_id");
        let (a, b) = (name(&"x".repeat(60)), name(&"x".repeat(61)));
        assert_eq!((a.len(), b.len()), (63, 63));
        assert_ne!(a, b);
    }
}
