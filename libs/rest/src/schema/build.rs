//! From the rows of the catalogue to a [`Schema`].

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::model::{
    Column, ForeignKey, Function, ObjectName, Parameter, Relation, RelationKind, Representation,
    Returns, Schema, Volatility,
};
use super::relationships::{self, Cardinality, Relationship};
use super::rows::{ColumnRow, ConstraintRow, FunctionRow, RelationRow};
use super::view_columns::ViewColumns;

pub(super) fn build(
    relation_rows: Vec<RelationRow>,
    columns: Vec<(u32, Column)>,
    constraints: &[ConstraintRow],
    functions: &[FunctionRow],
    trees: &[(u32, String)],
) -> Schema {
    let mut by_oid: HashMap<u32, Relation> = relation_rows
        .into_iter()
        .map(|row| (row.oid, relation(row)))
        .collect();
    for (oid, column) in columns {
        if let Some(relation) = by_oid.get_mut(&oid) {
            relation.push_column(column);
        }
    }
    let keys = apply_constraints(&mut by_oid, constraints);
    apply_computed_columns(&mut by_oid, functions);
    let names: HashMap<u32, ObjectName> = by_oid
        .iter()
        .map(|(oid, relation)| (*oid, relation.name.clone()))
        .collect();
    let mut relations: HashMap<ObjectName, Arc<Relation>> = by_oid
        .into_values()
        .map(|relation| (relation.name.clone(), Arc::new(relation)))
        .collect();
    let views = ViewColumns::resolve(&relations, trees);
    let mut related = relationships::derive(&relations, &keys, &views);
    for relationship in functions
        .iter()
        .filter_map(|row| computed_relationship(row, &names))
    {
        let of_source = related.entry(relationship.source.clone()).or_default();
        of_source.push(Arc::new(relationship));
    }
    let view_keys: Vec<(ObjectName, Vec<String>)> = relations
        .values()
        .filter(|relation| relation.kind != RelationKind::Table)
        .map(|view| (view.name.clone(), views.primary_key(&relations, &view.name)))
        .collect();
    for (name, key) in view_keys {
        if let Some(view) = relations.get_mut(&name).and_then(Arc::get_mut) {
            view.primary_key = key;
        }
    }
    let mut by_name: HashMap<ObjectName, Vec<Arc<Function>>> = HashMap::new();
    for row in functions.iter().filter(|row| row.exposed && callable(row)) {
        let function = function(row, &names);
        by_name
            .entry(function.name.clone())
            .or_default()
            .push(Arc::new(function));
    }
    for overloads in by_name.values_mut() {
        overloads.sort_by(|a, b| overload_order(a).cmp(&overload_order(b)));
    }
    Schema {
        relations,
        functions: by_name,
        relationships: related,
        ..Schema::default()
    }
}

fn relation(row: RelationRow) -> Relation {
    let kind = match row.kind {
        'v' => RelationKind::View,
        'm' => RelationKind::MaterializedView,
        _ => RelationKind::Table,
    };
    let mut relation = Relation::new(ObjectName::new(row.schema, row.name), row.oid, kind);
    relation.is_partition = row.is_partition;
    relation.comment = row.comment;
    relation.updatable = row.events & 4 != 0;
    relation.insertable = row.events & 8 != 0;
    relation.deletable = row.events & 16 != 0;
    relation.runs_code = row.runs_code;
    relation
}

/// Casts as source, target, schema and name of the function, by the name of the domain.
pub(super) fn representations(
    casts: &[(String, String, String, String)],
) -> HashMap<String, Arc<Representation>> {
    let mut found: HashMap<String, Representation> = HashMap::new();
    for (source, target, schema, name) in casts {
        let function = Some(ObjectName::new(schema, name));
        match (source.as_str(), target.as_str()) {
            (domain, "json") => found.entry(domain.to_owned()).or_default().to_json = function,
            ("json", domain) => found.entry(domain.to_owned()).or_default().from_json = function,
            (_, domain) => found.entry(domain.to_owned()).or_default().from_text = function,
        }
    }
    found
        .into_iter()
        .map(|(domain, representation)| (domain, Arc::new(representation)))
        .collect()
}

/// Texts that come many times, kept once.
#[derive(Default)]
pub(super) struct Words(HashSet<Arc<str>>);

impl Words {
    fn shared(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.0.get(text) {
            return known.clone();
        }
        let word: Arc<str> = text.into();
        self.0.insert(word.clone());
        word
    }
}

/// A column with the oid of its relation.
pub(super) fn column(
    row: ColumnRow,
    casts: &HashMap<String, Arc<Representation>>,
    words: &mut Words,
) -> (u32, Column) {
    let column = Column {
        representation: casts.get(&row.data_type).cloned(),
        base_type: words.shared(row.base_type.as_ref().unwrap_or(&row.data_type)),
        name: row.name,
        position: row.position,
        data_type: words.shared(&row.data_type),
        max_length: max_length(row.below.as_ref().unwrap_or(&row.full_type)),
        full_type: words.shared(&row.full_type),
        nullable: row.nullable,
        default: row.default.map(|text| words.shared(&text)),
        comment: row.comment,
        enum_labels: row.enum_labels.unwrap_or_default(),
        generated: row.generated,
    };
    (row.relation, column)
}

/// `character varying(20)` → 20
fn max_length(full_type: &str) -> Option<u32> {
    let (name, length) = full_type.strip_suffix(')')?.split_once('(')?;
    let counts = matches!(
        name,
        "character" | "character varying" | "bit" | "bit varying"
    );
    length.parse().ok().filter(|_| counts)
}

/// Notes primary and unique keys at their relations and returns the foreign keys.
fn apply_constraints(
    relations: &mut HashMap<u32, Relation>,
    constraints: &[ConstraintRow],
) -> Vec<ForeignKey> {
    let columns_of = |relations: &HashMap<u32, Relation>, oid: u32, positions: &[i16]| {
        let relation = relations.get(&oid)?;
        let names: Option<Vec<String>> = positions
            .iter()
            .map(|position| {
                let mut columns = relation.columns.iter();
                columns
                    .find(|c| c.position == *position)
                    .map(|c| c.name.clone())
            })
            .collect();
        Some((relation.name.clone(), names?))
    };
    let mut keys = Vec::new();
    for constraint in constraints {
        let source = columns_of(relations, constraint.relation, &constraint.columns);
        let Some((source, source_columns)) = source else {
            continue;
        };
        if constraint.kind == 'f' {
            let target = columns_of(relations, constraint.target, &constraint.target_columns);
            let Some((target, target_columns)) = target else {
                continue;
            };
            keys.push(ForeignKey {
                name: constraint.name.clone(),
                source,
                source_columns,
                target,
                target_columns,
            });
        } else if let Some(relation) = relations.get_mut(&constraint.relation) {
            if constraint.kind == 'p' {
                relation.primary_key.clone_from(&source_columns);
            }
            relation.unique_keys.push(source_columns);
        }
    }
    keys
}

/// A function of one row that returns one plain value reads like a column of that row.
fn apply_computed_columns(relations: &mut HashMap<u32, Relation>, functions: &[FunctionRow]) {
    for row in functions {
        let relation = row.row_argument.and_then(|oid| relations.get_mut(&oid));
        if let Some(relation) = relation.filter(|_| !row.returns_set) {
            let name = ObjectName::new(&row.schema, &row.name);
            relation.computed.entry(row.name.clone()).or_insert(name);
        }
    }
}

/// A function of one row that returns rows of a relation reads like a relationship.
fn computed_relationship(
    row: &FunctionRow,
    names: &HashMap<u32, ObjectName>,
) -> Option<Relationship> {
    let source = names.get(&row.row_argument?)?.clone();
    let target = names.get(&row.return_relation)?.clone();
    Some(Relationship {
        is_self: source == target,
        source,
        target,
        cardinality: if row.one_row || !row.returns_set {
            Cardinality::ManyToOne
        } else {
            Cardinality::OneToMany
        },
        constraint: row.name.clone(),
        columns: Vec::new(),
        source_is_view: false,
        target_is_view: false,
        is_inverse: false,
        function: Some(ObjectName::new(&row.schema, &row.name)),
    })
}

/// Functions of one name are told in this order: by the number of parameters, the comment, the
/// parameters.
fn overload_order(function: &Function) -> (usize, Option<&str>, Vec<(&str, &str)>) {
    let parameters = function.parameters.iter();
    (
        function.parameters.len(),
        function.comment.as_deref(),
        parameters
            .map(|parameter| (parameter.name.as_str(), parameter.data_type.as_str()))
            .collect(),
    )
}

/// A function without names for its arguments takes only a request's body.
fn callable(row: &FunctionRow) -> bool {
    const BODIES: [&str; 5] = ["bytea", "json", "jsonb", "text", "xml"];
    match row.input_types.as_slice() {
        [] => true,
        _ if !row.argument_names.is_empty() => true,
        [only] => BODIES.contains(&only.as_str()),
        _ => false,
    }
}

fn function(row: &FunctionRow, names: &HashMap<u32, ObjectName>) -> Function {
    let (parameters, out_columns) = arguments(row);
    let returns = if row.return_type == "void" {
        Returns::Void
    } else if row.return_kind == 'c' {
        Returns::Row(names.get(&row.return_relation).cloned())
    } else if !out_columns.is_empty() {
        Returns::Row(None)
    } else {
        Returns::Scalar
    };
    let settings = row
        .settings
        .iter()
        .filter_map(|setting| setting.split_once('='));
    Function {
        name: ObjectName::new(&row.schema, &row.name),
        comment: row.comment.clone(),
        parameters,
        returns,
        oid: row.oid,
        prepares: row.prepares,
        media: row.media.clone(),
        return_type: row.return_type.clone(),
        returns_set: row.returns_set,
        out_columns,
        volatility: match row.volatility {
            'i' => Volatility::Immutable,
            's' => Volatility::Stable,
            _ => Volatility::Volatile,
        },
        settings: settings
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
    }
}

/// Input parameters, and the names and types of what comes out.
fn arguments(row: &FunctionRow) -> (Vec<Parameter>, Vec<(String, String)>) {
    let no_modes = row.modes.is_empty();
    let types = if no_modes {
        &row.input_types
    } else {
        &row.all_types
    };
    let mut parameters = Vec::new();
    let mut out_columns = Vec::new();
    for (index, data_type) in types.iter().enumerate() {
        let mode = row.modes.get(index).map_or("i", String::as_str);
        let name = row.argument_names.get(index).cloned().unwrap_or_default();
        if matches!(mode, "o" | "b" | "t") {
            out_columns.push((name.clone(), data_type.clone()));
        }
        if matches!(mode, "i" | "b" | "v") {
            parameters.push(Parameter {
                name,
                data_type: data_type.clone(),
                required: true,
                variadic: mode == "v",
            });
        }
    }
    // Defaults belong to the last parameters.
    let defaults = usize::try_from(row.defaults).unwrap_or_default();
    for parameter in parameters.iter_mut().rev().take(defaults) {
        parameter.required = false;
    }
    (parameters, out_columns)
}
