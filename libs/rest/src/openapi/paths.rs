//! `paths`: which methods each resource has, with their parameters.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::definitions::{array_items, type_of};
use super::{put, summary_and_description};
use crate::schema::{Function, Parameter, Relation};

pub(super) fn all(relations: &[&Relation], functions: &[&Function]) -> Map<String, Value> {
    let mut paths = Map::new();
    paths.insert(
        "/".to_owned(),
        json!({
            "get": {
                "tags": ["Introspection"],
                "summary": "OpenAPI description (this document)",
                "produces": ["application/openapi+json", "application/json"],
                "responses": { "200": { "description": "OK" } },
            }
        }),
    );
    for relation in relations {
        paths.insert(format!("/{}", relation.name.name), of_relation(relation));
    }
    // Of overloaded functions the last stands for all.
    let named = functions.iter().map(|f| (f.name.name.as_str(), *f));
    for (name, function) in named.collect::<BTreeMap<&str, &Function>>() {
        paths.insert(format!("/rpc/{name}"), of_function(function));
    }
    paths
}

/// Says of an operation what the comment says.
fn explain(operation: &mut Map<String, Value>, comment: Option<&str>) {
    if let Some((summary, description)) = comment.map(summary_and_description) {
        operation.insert("summary".to_owned(), summary.into());
        let description = Some(description).filter(|text| !text.is_empty());
        put(operation, "description", description);
    }
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/parameters/{name}") })
}

fn of_relation(relation: &Relation) -> Value {
    let name = &relation.name.name;
    let filters: Vec<Value> = relation
        .columns
        .iter()
        .map(|column| reference(&format!("rowFilter.{name}.{}", column.name)))
        .collect();
    let body = format!("body.{name}");
    let with = |first: &[Value], names: &[&str]| -> Vec<Value> {
        let named = names.iter().map(|name| reference(name));
        first.iter().cloned().chain(named).collect()
    };
    let operation = |parameters: Vec<Value>, responses: Value| {
        let mut operation = Map::new();
        operation.insert("tags".to_owned(), json!([name]));
        explain(&mut operation, relation.comment.as_deref());
        operation.insert("parameters".to_owned(), parameters.into());
        operation.insert("responses".to_owned(), responses);
        Value::Object(operation)
    };
    let reading = [
        "select",
        "order",
        "range",
        "rangeUnit",
        "offset",
        "limit",
        "preferCount",
    ];
    let rows = json!({
        "type": "array",
        "items": { "$ref": format!("#/definitions/{name}") },
    });
    let mut methods = Map::new();
    methods.insert(
        "get".to_owned(),
        operation(
            with(&filters, &reading),
            json!({
                "200": { "description": "OK", "schema": rows },
                "206": { "description": "Partial Content" },
            }),
        ),
    );
    // Whatever can be written in one way is described with all.
    if relation.insertable || relation.updatable || relation.deletable {
        let created = json!({ "201": { "description": "Created" } });
        let parameters = with(&[], &[&body, "select", "preferPost"]);
        methods.insert("post".to_owned(), operation(parameters, created));
        let done = json!({ "204": { "description": "No Content" } });
        let parameters = with(&filters, &["preferReturn"]);
        methods.insert("delete".to_owned(), operation(parameters, done.clone()));
        let parameters = with(&filters, &[&body, "preferReturn"]);
        methods.insert("patch".to_owned(), operation(parameters, done));
    }
    Value::Object(methods)
}

fn of_function(function: &Function) -> Value {
    let operation = |parameters: Vec<Value>| {
        let mut operation = Map::new();
        operation.insert(
            "tags".to_owned(),
            json!([format!("(rpc) {}", function.name.name)]),
        );
        explain(&mut operation, function.comment.as_deref());
        if !parameters.is_empty() {
            operation.insert("parameters".to_owned(), parameters.into());
        }
        operation.insert(
            "produces".to_owned(),
            json!([
                "application/json",
                "application/vnd.pgrst.object+json;nulls=stripped",
                "application/vnd.pgrst.object+json",
            ]),
        );
        operation.insert(
            "responses".to_owned(),
            json!({ "200": { "description": "OK" } }),
        );
        Value::Object(operation)
    };
    let mut methods = Map::new();
    let parameters = function.parameters.iter().map(query_parameter).collect();
    methods.insert("get".to_owned(), operation(parameters));
    let parameters = vec![body_parameter(function), reference("preferParams")];
    methods.insert("post".to_owned(), operation(parameters));
    Value::Object(methods)
}

fn query_parameter(parameter: &Parameter) -> Value {
    let mut object = Map::new();
    object.insert("name".to_owned(), parameter.name.clone().into());
    object.insert("in".to_owned(), "query".into());
    object.insert("required".to_owned(), parameter.required.into());
    let data_type = parameter.data_type.as_str();
    if parameter.variadic {
        object.insert("type".to_owned(), "array".into());
        object.insert("collectionFormat".to_owned(), "multi".into());
        let element = data_type.strip_suffix("[]").unwrap_or(data_type);
        let mut items = Map::new();
        put(&mut items, "type", type_of(element));
        items.insert("format".to_owned(), element.into());
        object.insert("items".to_owned(), items.into());
    } else {
        object.insert("format".to_owned(), data_type.into());
        // An array is written as `{1,2}`, and anything needs a type in a query.
        let kind = type_of(data_type).filter(|kind| *kind != "array");
        object.insert("type".to_owned(), kind.unwrap_or("string").into());
    }
    Value::Object(object)
}

fn body_parameter(function: &Function) -> Value {
    let mut properties = Map::new();
    for parameter in &function.parameters {
        let mut property = Map::new();
        property.insert("format".to_owned(), parameter.data_type.clone().into());
        put(&mut property, "type", type_of(&parameter.data_type));
        put(&mut property, "items", array_items(&parameter.data_type));
        properties.insert(parameter.name.clone(), property.into());
    }
    let required: Vec<&str> = function
        .parameters
        .iter()
        .filter(|parameter| parameter.required)
        .map(|parameter| parameter.name.as_str())
        .collect();
    let mut schema = Map::new();
    schema.insert("type".to_owned(), "object".into());
    put(&mut schema, "description", function.comment.clone());
    if !required.is_empty() {
        schema.insert("required".to_owned(), required.into());
    }
    if !properties.is_empty() {
        schema.insert("properties".to_owned(), properties.into());
    }
    json!({ "required": true, "name": "args", "in": "body", "schema": schema })
}
