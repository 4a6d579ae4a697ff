//! `paths`: which methods each resource has, with their parameters.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::definitions::{array_items, type_of};
use super::{put, summary_and_description};
use crate::schema::{Function, Parameter, Relation, Volatility};

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
    // Of overloaded functions the first stands for all.
    let mut first: BTreeMap<&str, &Function> = BTreeMap::new();
    for function in functions {
        first.entry(&function.name.name).or_insert(function);
    }
    for (name, function) in first {
        paths.insert(format!("/rpc/{name}"), of_function(function));
    }
    paths
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
        if let Some(comment) = &relation.comment {
            let (summary, description) = summary_and_description(comment);
            put(&mut operation, "summary", summary);
            put(&mut operation, "description", description);
        }
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
    let done = json!({ "204": { "description": "No Content" } });
    if relation.insertable {
        let created = json!({ "201": { "description": "Created" } });
        let parameters = with(&[], &[&body, "select", "preferPost"]);
        methods.insert("post".to_owned(), operation(parameters, created));
    }
    if relation.deletable {
        let parameters = with(&filters, &["preferReturn"]);
        methods.insert("delete".to_owned(), operation(parameters, done.clone()));
    }
    if relation.updatable {
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
        if let Some(comment) = &function.comment {
            let (summary, description) = summary_and_description(comment);
            put(&mut operation, "summary", summary);
            put(&mut operation, "description", description);
        }
        operation.insert("parameters".to_owned(), parameters.into());
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
    if function.volatility != Volatility::Volatile {
        let parameters = function.parameters.iter().map(query_parameter).collect();
        methods.insert("get".to_owned(), operation(parameters));
    }
    let parameters = vec![body_parameter(function), reference("preferParams")];
    methods.insert("post".to_owned(), operation(parameters));
    Value::Object(methods)
}

fn query_parameter(parameter: &Parameter) -> Value {
    let mut object = Map::new();
    object.insert("name".to_owned(), parameter.name.clone().into());
    object.insert("in".to_owned(), "query".into());
    object.insert("required".to_owned(), parameter.required.into());
    object.insert("format".to_owned(), parameter.data_type.clone().into());
    if parameter.variadic {
        object.insert("type".to_owned(), "array".into());
        object.insert("collectionFormat".to_owned(), "multi".into());
        put(&mut object, "items", array_items(&parameter.data_type));
    } else {
        object.insert(
            "type".to_owned(),
            type_of(&parameter.data_type).unwrap_or("string").into(),
        );
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
    schema.insert("properties".to_owned(), properties.into());
    json!({ "required": true, "name": "args", "in": "body", "schema": schema })
}
