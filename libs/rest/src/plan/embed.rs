//! Finding the relationship that an embedded resource means, and how its rows join.

use std::sync::Arc;

use serde_json::{Value, json};

use super::Planner;
use super::read::{ReadNode, Source};
use crate::error::RestError;
use crate::request::select::SelectRelation;
use crate::schema::relationships::{Cardinality, Relationship};
use crate::schema::similar;
use crate::schema::{ObjectName, Relation};

/// An embedded resource in its parent.
#[derive(Debug, Clone)]
pub(crate) struct Embed {
    /// Key in the parent's object: the alias, or the name.
    pub(crate) label: String,
    /// What `select` calls the resource; filters may use this name too.
    pub(crate) name: String,
    pub(crate) link: Link,
    pub(crate) to_one: bool,
    pub(crate) inner: bool,
    pub(crate) spread: bool,
    pub(crate) node: ReadNode,
}

/// How child rows belong to a parent row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Link {
    /// Pairs (parent column, child column) are equal.
    Columns(Vec<(String, String)>),
    /// Through a third table: pairs (parent, junction) and (child, junction).
    Junction {
        table: ObjectName,
        parent: Vec<(String, String)>,
        child: Vec<(String, String)>,
    },
    /// A function of the parent's row gives the children. `row_type`: the relation that the row is
    /// of, if it must be said, because the parent's rows are the result of a write.
    Computed { row_type: Option<ObjectName> },
}

impl Link {
    pub(crate) fn new(relationship: &Relationship, parent: &Source) -> Self {
        if relationship.function.is_some() {
            let is_result = *parent == Source::Result;
            return Self::Computed {
                row_type: is_result.then(|| relationship.source.clone()),
            };
        }
        match &relationship.cardinality {
            Cardinality::ManyToMany(junction) => Self::Junction {
                table: junction.table.clone(),
                parent: junction.source_columns.clone(),
                child: junction.target_columns.clone(),
            },
            _ => Self::Columns(relationship.columns.clone()),
        }
    }

    /// Columns of the parent that the join needs.
    pub(crate) fn parent_columns(&self) -> impl Iterator<Item = &str> {
        let pairs = match self {
            Self::Columns(pairs) | Self::Junction { parent: pairs, .. } => pairs.as_slice(),
            Self::Computed { .. } => &[],
        };
        pairs.iter().map(|(parent, _)| parent.as_str())
    }
}

impl Planner<'_> {
    /// A relation of the request's schema.
    pub(crate) fn relation(&self, name: &str) -> Result<&Arc<Relation>, RestError> {
        let found = self.schema.relation(self.profile, name);
        found.ok_or_else(|| RestError::undefined_table(self.profile, name))
    }

    /// The one relationship between `parent` and what `wanted` names, with its hint.
    ///
    /// The name is that of a table or view, of a foreign key constraint, or of a foreign key
    /// column; the hint is a constraint, a column or a junction.
    pub(crate) fn find_relationship(
        &self,
        parent: &ObjectName,
        wanted: &SelectRelation,
    ) -> Result<Arc<Relationship>, RestError> {
        let all = self
            .schema
            .relationships
            .get(parent)
            .map(Vec::as_slice)
            .unwrap_or_default();
        let reachable = all.iter().filter(|relationship| {
            relationship.target.schema == self.profile || relationship.function.is_some()
        });
        let matching: Vec<&Arc<Relationship>> = reachable
            .filter(|relationship| fits(relationship, &wanted.name, wanted.hint.as_deref()))
            .collect();
        // A function of the same name replaces the relationships that were found by themselves.
        let computed = matching
            .iter()
            .find(|relationship| relationship.function.is_some());
        match (computed, matching.as_slice()) {
            (Some(computed), _) => Ok(Arc::clone(computed)),
            (None, [only]) => Ok(Arc::clone(only)),
            (None, []) => Err(self.unrelated(parent, wanted)),
            (None, several) => Err(ambiguous(parent, wanted, several)),
        }
    }

    fn unrelated(&self, parent: &ObjectName, wanted: &SelectRelation) -> RestError {
        let here = |relationship: &&Arc<Relationship>| relationship.target.schema == self.profile;
        let all = &self.schema.relationships;
        let related: Vec<&str> = all
            .get(parent)
            .into_iter()
            .flatten()
            .filter(here)
            .map(|relationship| relationship.target.name.as_str())
            .collect();
        let (wrong, nearest) = if related.is_empty() {
            let sources = all.iter().filter(|(_, of)| of.iter().any(|r| here(&r)));
            let names = sources.map(|(name, _)| name.name.as_str());
            (&parent.name, similar::nearest(&parent.name, names))
        } else {
            let near = similar::nearest(&wanted.name, related);
            // Nothing is wrong with a name that is there.
            let near = near.filter(|near| near.to_lowercase() != wanted.name.to_lowercase());
            (&wanted.name, near)
        };
        let hint = nearest.map(|near| format!("Perhaps you meant '{near}' instead of '{wrong}'."));
        RestError::no_relationship(
            &parent.name,
            &wanted.name,
            wanted.hint.as_deref(),
            self.profile,
            hint,
        )
    }
}

fn fits(relationship: &Relationship, name: &str, hint: Option<&str>) -> bool {
    if relationship.function.is_some() {
        return relationship.constraint == name;
    }
    // Of junctions there is neither a constraint nor a column.
    let single = |side: fn(&(String, String)) -> &String, wanted: &str| matches!(relationship.columns.as_slice(), [pair] if side(pair) == wanted);
    let own = |wanted: &str| single(|pair| &pair.0, wanted);
    let foreign = |wanted: &str| single(|pair| &pair.1, wanted);
    let constraint =
        |wanted: &str| !relationship.constraint.is_empty() && relationship.constraint == wanted;
    let by_target = relationship.target.name == name;
    let is_table = !relationship.target_is_view;
    match (hint, &relationship.cardinality) {
        // A self reference named by its table means the rows that point here, by its column the
        // row that is pointed to. Others have no name.
        (None, Cardinality::OneToMany) if relationship.is_self => by_target,
        (Some(hint), Cardinality::OneToMany) if relationship.is_self => by_target && foreign(hint),
        (None, Cardinality::ManyToOne) if relationship.is_self => own(name),
        _ if relationship.is_self => false,
        (None, Cardinality::ManyToMany(_)) => by_target,
        (None, _) => by_target || (is_table && (constraint(name) || own(name))),
        (Some(hint), Cardinality::ManyToMany(junction)) => by_target && junction.table.name == hint,
        (Some(hint), _) => by_target && (constraint(hint) || own(hint) || foreign(hint)),
    }
}

fn ambiguous(
    parent: &ObjectName,
    wanted: &SelectRelation,
    several: &[&Arc<Relationship>],
) -> RestError {
    let spellings: Vec<String> = several
        .iter()
        .map(|relationship| {
            let hint = match &relationship.cardinality {
                Cardinality::ManyToMany(junction) => &junction.table.name,
                _ => &relationship.constraint,
            };
            format!("'{}!{hint}'", relationship.target.name)
        })
        .collect();
    RestError::ambiguous_relationship(
        &parent.name,
        &wanted.name,
        several
            .iter()
            .map(|relationship| description(relationship))
            .collect(),
        &spellings.join(", "),
    )
}

fn description(relationship: &Relationship) -> Value {
    let list = |pairs: &[(String, String)], second: bool| {
        let names: Vec<&str> = pairs
            .iter()
            .map(|(a, b)| if second { b.as_str() } else { a.as_str() })
            .collect();
        names.join(", ")
    };
    let how = match &relationship.cardinality {
        Cardinality::ManyToMany(junction) => format!(
            "{} using {}({}) and {}({})",
            junction.table.name,
            junction.source_constraint,
            list(&junction.source_columns, true),
            junction.target_constraint,
            list(&junction.target_columns, true),
        ),
        _ => format!(
            "{} using {}({}) and {}({})",
            relationship.constraint,
            relationship.source.name,
            list(&relationship.columns, false),
            relationship.target.name,
            list(&relationship.columns, true),
        ),
    };
    json!({
        "cardinality": relationship.cardinality.name(),
        "embedding": format!("{} with {}", relationship.source.name, relationship.target.name),
        "relationship": how,
    })
}
