//! What can be embedded in what, derived from foreign keys, views and functions.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::model::{ForeignKey, ObjectName, Relation};
use super::view_columns::ViewColumns;

/// How many rows of the target belong to a row of the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Cardinality {
    OneToMany,
    ManyToOne,
    OneToOne,
    ManyToMany(Junction),
}

impl Cardinality {
    pub(crate) fn is_to_one(&self) -> bool {
        matches!(self, Self::ManyToOne | Self::OneToOne)
    }

    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::OneToMany => "one-to-many",
            Self::ManyToOne => "many-to-one",
            Self::OneToOne => "one-to-one",
            Self::ManyToMany(_) => "many-to-many",
        }
    }
}

/// The table between the two sides of a many-to-many relationship.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Junction {
    pub(crate) table: ObjectName,
    /// Constraint towards the source and its column pairs (source, junction).
    pub(crate) source_constraint: String,
    pub(crate) source_columns: Vec<(String, String)>,
    /// Constraint towards the target and its column pairs (target, junction).
    pub(crate) target_constraint: String,
    pub(crate) target_columns: Vec<(String, String)>,
}

/// A relationship, seen from its source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Relationship {
    pub(crate) source: ObjectName,
    pub(crate) target: ObjectName,
    pub(crate) cardinality: Cardinality,
    /// Constraint name; empty for computed and many-to-many relationships.
    pub(crate) constraint: String,
    /// Pairs (source column, target column).
    pub(crate) columns: Vec<(String, String)>,
    pub(crate) is_self: bool,
    /// The source, the target: is a view.
    pub(crate) source_is_view: bool,
    pub(crate) target_is_view: bool,
    /// The foreign key is the target's.
    pub(crate) is_inverse: bool,
    /// The function, for a computed relationship.
    pub(crate) function: Option<ObjectName>,
}

impl Relationship {
    /// Relationships of one source are told in this order.
    fn order(&self) -> (&ObjectName, bool, u8, [&str; 3]) {
        let (rank, names) = match &self.cardinality {
            Cardinality::OneToMany => (0, [self.constraint.as_str(), "", ""]),
            Cardinality::ManyToOne => (1, [self.constraint.as_str(), "", ""]),
            Cardinality::OneToOne => (2, [self.constraint.as_str(), "", ""]),
            Cardinality::ManyToMany(junction) => (
                3,
                [
                    junction.table.name.as_str(),
                    &junction.source_constraint,
                    &junction.target_constraint,
                ],
            ),
        };
        (&self.target, self.is_self, rank, names)
    }
}

type Relations = HashMap<ObjectName, Arc<Relation>>;
type Relationships = HashMap<ObjectName, Vec<Arc<Relationship>>>;

/// All relationships that follow from the foreign keys, also through views.
pub(crate) fn derive(
    relations: &Relations,
    keys: &[ForeignKey],
    views: &ViewColumns,
) -> Relationships {
    let mut direct: Vec<Relationship> = Vec::new();
    for key in keys {
        for (source, source_columns) in views.projections(&key.source, &key.source_columns) {
            for (target, target_columns) in views.projections(&key.target, &key.target_columns) {
                let pairs: Vec<(String, String)> = source_columns
                    .iter()
                    .cloned()
                    .zip(target_columns.iter().cloned())
                    .collect();
                direct.push(Relationship {
                    cardinality: key_cardinality(relations, key),
                    constraint: key.name.clone(),
                    columns: pairs,
                    is_self: source == target,
                    source_is_view: source != key.source,
                    target_is_view: target != key.target,
                    is_inverse: false,
                    function: None,
                    source: source.clone(),
                    target,
                });
            }
        }
    }
    let junctions = many_to_many(relations, views, &direct);
    let mut all: Relationships = HashMap::new();
    let inverse: Vec<Relationship> = direct.iter().map(inverted).collect();
    for relationship in direct.into_iter().chain(inverse).chain(junctions) {
        all.entry(relationship.source.clone())
            .or_default()
            .push(Arc::new(relationship));
    }
    for relationships in all.values_mut() {
        relationships.sort_by(|a, b| a.order().cmp(&b.order()));
    }
    all
}

/// A foreign key whose columns are also unique points from one row to one row.
fn key_cardinality(relations: &Relations, key: &ForeignKey) -> Cardinality {
    let columns: HashSet<&String> = key.source_columns.iter().collect();
    let unique = relations.get(&key.source).is_some_and(|source| {
        source
            .unique_keys
            .iter()
            .any(|unique| unique.iter().collect::<HashSet<_>>() == columns)
    });
    if unique {
        Cardinality::OneToOne
    } else {
        Cardinality::ManyToOne
    }
}

fn inverted(relationship: &Relationship) -> Relationship {
    let columns = relationship.columns.iter();
    Relationship {
        source: relationship.target.clone(),
        target: relationship.source.clone(),
        cardinality: match relationship.cardinality {
            Cardinality::OneToOne => Cardinality::OneToOne,
            _ => Cardinality::OneToMany,
        },
        constraint: relationship.constraint.clone(),
        columns: columns.map(|(s, t)| (t.clone(), s.clone())).collect(),
        is_self: relationship.is_self,
        source_is_view: relationship.target_is_view,
        target_is_view: relationship.source_is_view,
        is_inverse: true,
        function: None,
    }
}

/// Two foreign keys of one table whose columns are all in its primary key make a junction.
fn many_to_many(
    relations: &Relations,
    views: &ViewColumns,
    direct: &[Relationship],
) -> Vec<Relationship> {
    let mut by_table: HashMap<&ObjectName, Vec<&Relationship>> = HashMap::new();
    let pointing = |r: &&Relationship| r.cardinality == Cardinality::ManyToOne;
    for relationship in direct.iter().filter(pointing) {
        by_table
            .entry(&relationship.source)
            .or_default()
            .push(relationship);
    }
    let mut found = Vec::new();
    for (table, keys) in by_table {
        let primary = match relations.get(table) {
            Some(relation) if !relation.primary_key.is_empty() => relation.primary_key.clone(),
            _ => views.primary_key(relations, table),
        };
        let in_primary = |r: &Relationship| r.columns.iter().all(|(s, _)| primary.contains(s));
        let flip = |r: &Relationship| -> Vec<(String, String)> {
            r.columns
                .iter()
                .map(|(s, t)| (t.clone(), s.clone()))
                .collect()
        };
        for (index, left) in keys.iter().enumerate() {
            for (other, right) in keys.iter().enumerate() {
                if index == other
                    || left.constraint == right.constraint
                    || !in_primary(left)
                    || !in_primary(right)
                {
                    continue;
                }
                found.push(Relationship {
                    source: left.target.clone(),
                    target: right.target.clone(),
                    cardinality: Cardinality::ManyToMany(Junction {
                        table: table.clone(),
                        source_constraint: left.constraint.clone(),
                        source_columns: flip(left),
                        target_constraint: right.constraint.clone(),
                        target_columns: flip(right),
                    }),
                    constraint: String::new(),
                    columns: Vec::new(),
                    is_self: left.target == right.target,
                    source_is_view: left.target_is_view,
                    target_is_view: right.target_is_view,
                    is_inverse: false,
                    function: None,
                });
            }
        }
    }
    found
}
