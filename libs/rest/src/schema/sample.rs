//! A small schema for tests that need no database.

use std::collections::HashMap;
use std::sync::Arc;

use super::model::{
    Column, ForeignKey, Function, ObjectName, Parameter, Relation, RelationKind, Returns, Schema,
    Volatility,
};
use super::relationships;
use super::view_columns::ViewColumns;

fn relation(name: &str, oid: u32, columns: &[(&str, &str, Option<&str>)]) -> Relation {
    let mut relation = Relation::new(ObjectName::new("public", name), oid, RelationKind::Table);
    for (position, (name, data_type, default)) in columns.iter().enumerate() {
        relation.push_column(Column {
            name: (*name).to_owned(),
            position: i16::try_from(position + 1).unwrap(),
            data_type: (*data_type).into(),
            full_type: (*data_type).into(),
            base_type: (*data_type).into(),
            max_length: None,
            nullable: true,
            default: default.map(Into::into),
            comment: None,
            enum_labels: Vec::new(),
            generated: false,
            representation: None,
        });
    }
    relation.primary_key = vec!["id".to_owned()];
    relation.unique_keys = vec![vec!["id".to_owned()]];
    relation
}

/// Films that refer to directors, and a function that finds films.
pub(crate) fn schema() -> Schema {
    let films = [
        ("id", "integer", Some("nextval('films_id_seq'::regclass)")),
        ("title", "text", None),
        ("data", "jsonb", None),
        ("director_id", "integer", None),
    ];
    let directors = [("id", "integer", None), ("name", "text", None)];
    let relations: HashMap<ObjectName, Arc<Relation>> = [
        relation("films", 1, &films),
        relation("directors", 2, &directors),
    ]
    .into_iter()
    .map(|relation| (relation.name.clone(), Arc::new(relation)))
    .collect();
    let key = ForeignKey {
        name: "films_director_id_fkey".to_owned(),
        source: ObjectName::new("public", "films"),
        source_columns: vec!["director_id".to_owned()],
        target: ObjectName::new("public", "directors"),
        target_columns: vec!["id".to_owned()],
    };
    let parameter = |name: &str, data_type: &str, variadic: bool| Parameter {
        name: name.to_owned(),
        data_type: data_type.to_owned(),
        required: !variadic,
        variadic,
    };
    let find = Function {
        name: ObjectName::new("public", "find"),
        comment: None,
        parameters: vec![
            parameter("a", "integer", false),
            parameter("b", "text[]", true),
        ],
        returns: Returns::Row(Some(ObjectName::new("public", "films"))),
        oid: 0,
        prepares: false,
        media: None,
        return_type: "films".to_owned(),
        returns_set: true,
        out_columns: Vec::new(),
        volatility: Volatility::Stable,
        settings: Vec::new(),
    };
    Schema {
        relationships: relationships::derive(&relations, &[key], &ViewColumns::default()),
        relations,
        functions: [(find.name.clone(), vec![Arc::new(find)])].into(),
        types: [("text".to_owned(), "text".to_owned())].into(),
        ..Schema::default()
    }
}
