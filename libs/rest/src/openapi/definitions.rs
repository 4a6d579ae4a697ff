//! `definitions` and `parameters`: the shapes of rows, and what may stand in a query.

use serde_json::{Map, Value, json};

use super::put;
use crate::schema::relationships::Cardinality;
use crate::schema::{Column, Relation, Schema};

/// JSON type of a PostgreSQL type; none for JSON itself, which may be anything.
pub(super) fn type_of(data_type: &str) -> Option<&'static str> {
    match data_type {
        "smallint" | "integer" | "bigint" => Some("integer"),
        "numeric" | "real" | "double precision" => Some("number"),
        "boolean" => Some("boolean"),
        "json" | "jsonb" => None,
        array if array.ends_with("[]") => Some("array"),
        _ => Some("string"),
    }
}

/// `items` of an array type.
pub(super) fn array_items(data_type: &str) -> Option<Value> {
    let element = data_type.strip_suffix("[]")?;
    Some(type_of(element).map_or_else(|| json!({}), |name| json!({ "type": name })))
}

pub(super) fn of_relation(schema: &Schema, relation: &Relation) -> Value {
    let mut properties = Map::new();
    for column in &relation.columns {
        properties.insert(column.name.clone(), property(schema, relation, column));
    }
    let required: Vec<&str> = relation
        .columns
        .iter()
        .filter(|column| !column.nullable)
        .map(|column| column.name.as_str())
        .collect();
    let mut definition = Map::new();
    put(&mut definition, "description", relation.comment.clone());
    if !required.is_empty() {
        definition.insert("required".to_owned(), required.into());
    }
    if !properties.is_empty() {
        definition.insert("properties".to_owned(), properties.into());
    }
    definition.insert("type".to_owned(), "object".into());
    Value::Object(definition)
}

fn property(schema: &Schema, relation: &Relation, column: &Column) -> Value {
    let mut property = Map::new();
    let default = column.default.as_deref();
    let data_type = shown_type(column);
    put(
        &mut property,
        "default",
        default.and_then(|default| default_value(data_type, default)),
    );
    put(
        &mut property,
        "description",
        description(schema, relation, column),
    );
    if !column.enum_labels.is_empty() {
        property.insert("enum".to_owned(), column.enum_labels.clone().into());
    }
    property.insert("format".to_owned(), data_type.into());
    put(&mut property, "maxLength", column.max_length);
    put(&mut property, "type", type_of(data_type));
    put(&mut property, "items", array_items(data_type));
    Value::Object(property)
}

/// The type; of a domain over a type of PostgreSQL itself, that one.
fn shown_type(column: &Column) -> &str {
    if column.base_type.contains('.') {
        &column.data_type
    } else {
        &column.base_type
    }
}

/// The comment, and notes on keys that tools look for.
fn description(schema: &Schema, relation: &Relation, column: &Column) -> Option<String> {
    let mut notes = Vec::new();
    if relation.primary_key.contains(&column.name) {
        notes.push("This is a Primary Key.<pk/>".to_owned());
    }
    if let Some((table, target)) = foreign(schema, relation, column) {
        notes.push(format!(
            "This is a Foreign Key to `{table}.{target}`.<fk table='{table}' column='{target}'/>"
        ));
    }
    let notes = (!notes.is_empty()).then(|| format!("Note:\n{}", notes.join("\n")));
    match (&column.comment, notes) {
        (Some(comment), Some(notes)) => Some(format!("{comment}\n\n{notes}")),
        (comment, notes) => notes.or_else(|| comment.clone()),
    }
}

/// What a foreign key of this one column points to: a table, or else a view, of the same schema.
fn foreign<'s>(
    schema: &'s Schema,
    relation: &Relation,
    column: &Column,
) -> Option<(&'s str, &'s str)> {
    let related = schema.relationships.get(&relation.name);
    let mut found: Vec<_> = related
        .into_iter()
        .flatten()
        .filter(|relationship| {
            relationship.function.is_none()
                && relationship.target.schema == relation.name.schema
                && (relationship.cardinality == Cardinality::ManyToOne
                    || (relationship.cardinality == Cardinality::OneToOne
                        && !relationship.is_inverse))
                && matches!(relationship.columns.as_slice(),
                    [(source, _)] if *source == column.name)
        })
        .collect();
    found.sort_by_key(|relationship| relationship.target_is_view);
    let relationship = found.first()?;
    let (_, target) = relationship.columns.first()?;
    Some((&relationship.target.name, target))
}

/// The default of a text without its cast and quotes, or its expression; of another type only what
/// is JSON as it stands.
fn default_value(data_type: &str, expression: &str) -> Option<Value> {
    if type_of(data_type) != Some("string") {
        return serde_json::from_str(expression).ok();
    }
    let constant = expression.strip_suffix(&format!("::{data_type}"));
    let text = constant.map_or(expression, |constant| constant.trim_matches('\''));
    serde_json::from_str(&format!("\"{text}\"")).ok()
}

/// Parameters that operations refer to.
pub(super) fn parameters(relations: &[&Relation]) -> Map<String, Value> {
    let mut parameters = common();
    for relation in relations {
        let name = &relation.name.name;
        parameters.insert(
            format!("body.{name}"),
            json!({
                "name": name,
                "description": name,
                "required": false,
                "in": "body",
                "schema": { "$ref": format!("#/definitions/{name}") },
            }),
        );
        for column in &relation.columns {
            let mut filter = Map::new();
            filter.insert("name".to_owned(), column.name.clone().into());
            put(&mut filter, "description", column.comment.clone());
            filter.insert("required".to_owned(), false.into());
            filter.insert("in".to_owned(), "query".into());
            filter.insert("type".to_owned(), "string".into());
            parameters.insert(format!("rowFilter.{name}.{}", column.name), filter.into());
        }
    }
    parameters
}

fn common() -> Map<String, Value> {
    let prefer = |values: &[&str]| {
        json!({
            "name": "Prefer", "description": "Preference", "required": false, "in": "header",
            "type": "string", "enum": values,
        })
    };
    let query = |name: &str, description: &str| {
        json!({
            "name": name, "description": description, "required": false, "in": "query",
            "type": "string",
        })
    };
    let header = |name: &str, description: &str, default: Option<&str>| {
        let mut object = json!({
            "name": name, "description": description, "required": false, "in": "header",
            "type": "string",
        });
        if let (Some(object), Some(default)) = (object.as_object_mut(), default) {
            object.insert("default".to_owned(), default.into());
        }
        object
    };
    let returns = ["return=representation", "return=minimal", "return=none"];
    let posts = [
        &returns[..],
        &[
            "resolution=ignore-duplicates",
            "resolution=merge-duplicates",
        ],
    ]
    .concat();
    [
        ("preferParams", prefer(&["params=single-object"])),
        ("preferReturn", prefer(&returns)),
        ("preferCount", prefer(&["count=none"])),
        ("preferPost", prefer(&posts)),
        ("select", query("select", "Filtering Columns")),
        ("on_conflict", query("on_conflict", "On Conflict")),
        ("order", query("order", "Ordering")),
        ("range", header("Range", "Limiting and Pagination", None)),
        (
            "rangeUnit",
            header("Range-Unit", "Limiting and Pagination", Some("items")),
        ),
        ("offset", query("offset", "Limiting and Pagination")),
        ("limit", query("limit", "Limiting and Pagination")),
    ]
    .into_iter()
    .map(|(name, parameter)| (name.to_owned(), parameter))
    .collect()
}
