//! Plans of reads: a tree whose nodes are the resource of the path and everything embedded in it.

use crate::error::RestError;
use crate::request::condition::{Filter, Operation, Truth};
use crate::request::logic::Logic;
use crate::request::order::OrderTerm;
use crate::request::query::{EmbedPath, Query};
use crate::request::range::Window;
use crate::request::select::{Aggregate, SelectColumn, SelectItem, SelectRelation};
use crate::schema::{Column, ObjectName};

use super::embed::{Embed, Link};
use super::{Ordering, PlannedField, Planner, Predicate, Shape};

/// Most nodes in one tree.
const MAX_NODES: usize = 200;

/// Where the rows of a node come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    /// A table or view.
    Relation(ObjectName),
    /// The rows that a write returned or a function gave: the statement's first part.
    Result,
    /// A function that takes the parent's row.
    Computed(ObjectName),
}

/// A node of the tree.
#[derive(Debug, Clone)]
pub(crate) struct ReadNode {
    pub(crate) source: Source,
    pub(crate) shape: Shape,
    pub(crate) select: Vec<Selected>,
    pub(crate) predicates: Vec<Predicate>,
    pub(crate) order: Vec<Ordering>,
    pub(crate) window: Window,
    pub(crate) embeds: Vec<Embed>,
}

/// A selected column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Selected {
    Star,
    Field {
        field: PlannedField,
        cast: Option<String>,
        aggregate: Option<Aggregate>,
        aggregate_cast: Option<String>,
        /// Function that shows the value.
        to_json: Option<ObjectName>,
        /// Name in the result.
        label: Option<String>,
    },
    /// `count()`
    CountRows {
        cast: Option<String>,
        label: Option<String>,
    },
}

impl Selected {
    pub(crate) fn is_aggregate(&self) -> bool {
        match self {
            Self::Star => false,
            Self::CountRows { .. } => true,
            Self::Field { aggregate, .. } => aggregate.is_some(),
        }
    }
}

impl Planner<'_> {
    /// Plans a tree below `source`. With `written`, the rows of the root are those of a write: its
    /// filters chose them already, and they are shown in the order and number in which they come.
    pub(crate) fn read(
        &self,
        source: Source,
        shape: Shape,
        name: &ObjectName,
        query: &Query,
        window: Window,
        written: bool,
    ) -> Result<ReadNode, RestError> {
        let mut count = 0;
        let mut root = self.node(source, shape, name, &query.select, &mut count)?;
        root.window = window;
        for (path, filter) in &query.filters {
            if path.is_empty() && written {
                continue;
            }
            let node = descend(&mut root, path)?;
            let predicate = Self::filter(node, filter)?;
            node.predicates.push(predicate);
        }
        for (path, logic) in &query.logic {
            if path.is_empty() && written {
                continue;
            }
            let node = descend(&mut root, path)?;
            let predicate = Self::logic(node, logic)?;
            node.predicates.push(predicate);
        }
        if written {
            return Ok(root);
        }
        // `select=` is everything, as long as nothing is embedded.
        if root.select.is_empty() && root.embeds.is_empty() {
            root.select.extend(expanded(&root.shape, Selected::Star));
        }
        for (path, terms) in &query.order {
            let node = descend(&mut root, path)?;
            for term in terms {
                let ordering = Self::ordering(node, name, term)?;
                node.order.push(ordering);
            }
        }
        for (path, window) in query.windows.iter().filter(|(path, _)| !path.is_empty()) {
            descend(&mut root, path)?.window = *window;
        }
        Ok(root)
    }

    fn node(
        &self,
        source: Source,
        shape: Shape,
        name: &ObjectName,
        items: &[SelectItem],
        count: &mut usize,
    ) -> Result<ReadNode, RestError> {
        *count += 1;
        if *count > MAX_NODES {
            return Err(RestError::request_too_large(
                "number of embedded resources",
                MAX_NODES,
            ));
        }
        let mut node = ReadNode {
            source,
            shape,
            select: Vec::new(),
            predicates: Vec::new(),
            order: Vec::new(),
            window: Window::default(),
            embeds: Vec::new(),
        };
        for item in items {
            match item {
                SelectItem::Column(column) => {
                    let selected = self.column(&node.shape, column)?;
                    node.select.extend(expanded(&node.shape, selected));
                }
                SelectItem::Relation(relation) => {
                    let embed = self.embed(&node, name, relation, count)?;
                    node.embeds.push(embed);
                }
            }
        }
        Ok(node)
    }

    fn embed(
        &self,
        parent: &ReadNode,
        parent_name: &ObjectName,
        relation: &SelectRelation,
        count: &mut usize,
    ) -> Result<Embed, RestError> {
        let found = self.find_relationship(parent_name, relation)?;
        let shape = self
            .schema
            .relation(&found.target.schema, &found.target.name)
            .map(|relation| Shape::Relation(relation.clone()))
            .ok_or_else(|| RestError::undefined_table(&found.target.schema, &found.target.name))?;
        let to_one = found.cardinality.is_to_one();
        if relation.spread && !to_one {
            return Err(RestError::spread_not_to_one(
                &parent_name.name,
                &relation.name,
            ));
        }
        let source = match &found.function {
            Some(function) => Source::Computed(function.clone()),
            None => Source::Relation(found.target.clone()),
        };
        let node = self.node(source, shape, &found.target, &relation.items, count)?;
        Ok(Embed {
            label: relation
                .alias
                .clone()
                .unwrap_or_else(|| relation.name.clone()),
            name: relation.name.clone(),
            link: Link::new(&found, &parent.source),
            to_one,
            inner: relation.inner,
            spread: relation.spread,
            node,
        })
    }

    fn column(&self, shape: &Shape, column: &SelectColumn) -> Result<Selected, RestError> {
        if column.aggregate.is_some() && !self.settings.aggregates_enabled {
            return Err(RestError::aggregates_disabled());
        }
        if column.is_star() {
            return Ok(Selected::Star);
        }
        let aggregate_cast = self.cast(column.aggregate_cast.as_ref())?;
        if column.field.name == "*" {
            return Ok(Selected::CountRows {
                cast: aggregate_cast,
                label: column.alias.clone(),
            });
        }
        let field = Self::field(shape, &column.field)?;
        let found = shape.find(&field.name)?.column;
        // A cast is one of what is shown, not of what is stored.
        let plain = field.path.is_empty() && column.aggregate.is_none();
        // A path without alias is called by its last key; an aggregate by its function.
        let last_key = field.path.iter().rev().find_map(|step| step.key());
        let label = match (&column.alias, column.aggregate) {
            (Some(alias), _) => Some(alias.clone()),
            (None, Some(_)) => None,
            (None, None) if field.path.is_empty() => Some(field.name.clone()),
            (None, None) => Some(last_key.unwrap_or(&field.name).to_owned()),
        };
        Ok(Selected::Field {
            cast: self.cast(column.cast.as_ref())?,
            aggregate: column.aggregate,
            aggregate_cast,
            to_json: found
                .filter(|_| plain)
                .and_then(|column| column.function(|r| &r.to_json)),
            label,
            field,
        })
    }

    pub(crate) fn filter(node: &ReadNode, filter: &Filter) -> Result<Predicate, RestError> {
        let is_null = filter.condition.operation == Operation::Is(Truth::Null);
        // Any other condition is one on a column, even if an embedded resource has its name.
        if is_null
            && filter.field.path.is_empty()
            && let Some(index) = embed_position(node, &filter.field.name)
        {
            return Ok(Predicate::Embed {
                index,
                present: filter.condition.negated,
            });
        }
        Ok(Predicate::Filter {
            field: Self::field(&node.shape, &filter.field)?,
            condition: filter.condition.clone(),
        })
    }

    pub(crate) fn logic(node: &ReadNode, logic: &Logic) -> Result<Predicate, RestError> {
        match logic {
            Logic::Filter(filter) => Self::filter(node, filter),
            Logic::Group {
                negated,
                any,
                members,
            } => Ok(Predicate::Group {
                negated: *negated,
                any: *any,
                members: members
                    .iter()
                    .map(|member| Self::logic(node, member))
                    .collect::<Result<_, _>>()?,
            }),
        }
    }

    pub(crate) fn ordering(
        node: &ReadNode,
        name: &ObjectName,
        term: &OrderTerm,
    ) -> Result<Ordering, RestError> {
        let (field, embed) = match &term.relation {
            None => (Self::field(&node.shape, &term.field)?, None),
            Some(relation) => {
                let index = embed_position(node, relation)
                    .ok_or_else(|| RestError::not_embedded(relation))?;
                let embed = node.embeds.get(index).filter(|embed| embed.to_one);
                let embed = embed.ok_or_else(|| RestError::related_order(&name.name, relation))?;
                (Self::field(&embed.node.shape, &term.field)?, Some(index))
            }
        };
        Ok(Ordering {
            field,
            embed,
            descending: term.descending,
            nulls_first: term.nulls_first,
        })
    }
}

/// All columns one by one, if one of them is not shown as it is.
fn expanded(shape: &Shape, selected: Selected) -> Vec<Selected> {
    let Shape::Relation(relation) = shape else {
        return vec![selected];
    };
    let shown = |column: &Column| column.function(|r| &r.to_json).is_some();
    if selected != Selected::Star || !relation.columns.iter().any(shown) {
        return vec![selected];
    }
    let columns = relation.columns.iter().map(|column| Selected::Field {
        field: PlannedField {
            name: column.name.clone(),
            path: Vec::new(),
            convert: false,
            from_text: None,
        },
        cast: None,
        aggregate: None,
        aggregate_cast: None,
        to_json: column.function(|r| &r.to_json),
        label: Some(column.name.clone()),
    });
    columns.collect()
}

fn embed_position(node: &ReadNode, name: &str) -> Option<usize> {
    node.embeds.iter().position(|embed| embed.label == name)
}

fn descend<'n>(root: &'n mut ReadNode, path: &EmbedPath) -> Result<&'n mut ReadNode, RestError> {
    let mut node = root;
    for name in path {
        let mut embeds = node.embeds.iter_mut();
        let embed = embeds.find(|embed| embed.label == *name || embed.name == *name);
        node = &mut embed.ok_or_else(|| RestError::not_embedded(name))?.node;
    }
    Ok(node)
}

impl ReadNode {
    /// Applies the most rows that one read may return to every node.
    pub(crate) fn cap(&mut self, max_rows: Option<u64>) {
        self.window = self.window.capped(max_rows);
        for embed in &mut self.embeds {
            embed.node.cap(max_rows);
        }
    }

    /// The rows depend on what is embedded, not only on the columns.
    pub(crate) fn needs_embeds_to_count(&self) -> bool {
        self.embeds.iter().any(|embed| embed.inner)
            || self.predicates.iter().any(Predicate::mentions_embed)
    }
}
