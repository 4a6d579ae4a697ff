//! The schema cache as JSON, for people who want to know what the engine sees.

use serde_json::{Value, json};

use super::model::{Function, Relation, Schema};

impl Schema {
    /// Relations and functions, sorted by name.
    pub fn to_json(&self) -> Value {
        let mut relations: Vec<&Relation> = self.relations().map(AsRef::as_ref).collect();
        relations.sort_by(|a, b| a.name.cmp(&b.name));
        let functions = self.functions.values().flatten().map(AsRef::as_ref);
        let mut functions: Vec<&Function> = functions.collect();
        functions.sort_by(|a, b| a.name.cmp(&b.name));
        json!({
            "relations": relations.into_iter().map(relation).collect::<Vec<_>>(),
            "functions": functions.into_iter().map(function).collect::<Vec<_>>(),
        })
    }
}

fn relation(relation: &Relation) -> Value {
    let column = |column: &super::Column| {
        json!({
            "name": column.name,
            "type": &*column.full_type,
            "nullable": column.nullable,
            "default": column.default.as_deref(),
            "comment": column.comment,
            "enum": column.enum_labels,
        })
    };
    json!({
        "schema": relation.name.schema,
        "name": relation.name.name,
        "kind": format!("{:?}", relation.kind),
        "comment": relation.comment,
        "insertable": relation.insertable,
        "updatable": relation.updatable,
        "deletable": relation.deletable,
        "primaryKey": relation.primary_key,
        "columns": relation.columns.iter().map(column).collect::<Vec<_>>(),
    })
}

fn function(function: &Function) -> Value {
    let parameters = function.parameters.iter().map(|parameter| {
        json!({
            "name": parameter.name,
            "type": parameter.data_type,
            "required": parameter.required,
            "variadic": parameter.variadic,
        })
    });
    json!({
        "schema": function.name.schema,
        "name": function.name.name,
        "comment": function.comment,
        "parameters": parameters.collect::<Vec<_>>(),
        "returns": function.return_type,
        "returnsSet": function.returns_set,
        "volatility": format!("{:?}", function.volatility),
    })
}
