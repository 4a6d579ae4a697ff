//! Which table column each view column shows, read from the views' stored query trees.
//!
//! PostgreSQL notes in every target list entry the table (`resorigtbl`) and column (`resorigcol`)
//! that it comes from. Entries that point to another view are followed until a table is reached.

use std::collections::HashMap;
use std::sync::Arc;

use super::model::{ObjectName, Relation};

/// Longest chain of views on views that is followed.
const MAX_VIEW_DEPTH: usize = 32;

/// Most combinations of columns that one key yields in one view.
const MAX_PROJECTIONS: usize = 16;

/// A view column and where it comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Origin {
    relation: u32,
    column: i16,
}

/// The origins of all view columns.
#[derive(Debug, Default)]
pub(crate) struct ViewColumns {
    /// Table → views on it → (table column → view columns).
    by_table: HashMap<ObjectName, HashMap<ObjectName, HashMap<String, Vec<String>>>>,
}

impl ViewColumns {
    /// `trees`: view oid and the text of its `pg_rewrite.ev_action`.
    pub(crate) fn resolve(
        relations: &HashMap<ObjectName, Arc<Relation>>,
        trees: &[(u32, String)],
    ) -> Self {
        let by_oid: HashMap<u32, &Arc<Relation>> = relations
            .values()
            .map(|relation| (relation.oid, relation))
            .collect();
        let origins: HashMap<u32, Vec<(i16, Origin)>> = trees
            .iter()
            .map(|(oid, tree)| (*oid, target_list(tree)))
            .collect();
        let mut by_table: HashMap<_, HashMap<_, HashMap<_, Vec<String>>>> = HashMap::new();
        for (oid, columns) in &origins {
            let Some(view) = by_oid.get(oid) else {
                continue;
            };
            for (position, origin) in columns {
                let Some(base) = follow(&origins, *origin) else {
                    continue;
                };
                let (Some(table), Some(shown)) =
                    (by_oid.get(&base.relation), column_at(view, *position))
                else {
                    continue;
                };
                let Some(column) = column_at(table, base.column) else {
                    continue;
                };
                by_table
                    .entry(table.name.clone())
                    .or_default()
                    .entry(view.name.clone())
                    .or_default()
                    .entry(column.to_owned())
                    .or_default()
                    .push(shown.to_owned());
            }
        }
        Self { by_table }
    }

    /// The table with `columns` itself, then every view that shows all of them, with the names
    /// they have there. A view that shows a column twice appears once for each combination.
    pub(crate) fn projections(
        &self,
        table: &ObjectName,
        columns: &[String],
    ) -> Vec<(ObjectName, Vec<String>)> {
        let mut found = vec![(table.clone(), columns.to_vec())];
        for (view, shown) in self.by_table.get(table).into_iter().flatten() {
            let mut combinations: Vec<Vec<String>> = vec![Vec::new()];
            for column in columns {
                let names = shown.get(column).map(Vec::as_slice).unwrap_or_default();
                combinations = combinations
                    .iter()
                    .flat_map(|head| {
                        names.iter().map(move |name| {
                            let mut next = head.clone();
                            next.push(name.clone());
                            next
                        })
                    })
                    .take(MAX_PROJECTIONS)
                    .collect();
            }
            found.extend(combinations.into_iter().map(|names| (view.clone(), names)));
        }
        found
    }

    /// The columns of a view that are the primary key of a table below it.
    pub(crate) fn primary_key(
        &self,
        relations: &HashMap<ObjectName, Arc<Relation>>,
        view: &ObjectName,
    ) -> Vec<String> {
        let mut key = Vec::new();
        for (table, views) in &self.by_table {
            let (Some(shown), Some(relation)) = (views.get(view), relations.get(table)) else {
                continue;
            };
            let names: Vec<String> = relation
                .primary_key
                .iter()
                .filter_map(|column| shown.get(column)?.first().cloned())
                .collect();
            if names.len() == relation.primary_key.len() {
                key.extend(names);
            }
        }
        key
    }
}

fn column_at(relation: &Relation, position: i16) -> Option<&str> {
    relation
        .columns
        .iter()
        .find(|column| column.position == position)
        .map(|column| column.name.as_str())
}

fn follow(origins: &HashMap<u32, Vec<(i16, Origin)>>, mut origin: Origin) -> Option<Origin> {
    for _ in 0..MAX_VIEW_DEPTH {
        let Some(columns) = origins.get(&origin.relation) else {
            return Some(origin);
        };
        let (_, next) = columns
            .iter()
            .find(|(position, _)| *position == origin.column)?;
        origin = *next;
    }
    None
}

/// Reads `({QUERY … :targetList ({TARGETENTRY … :resno 1 … :resorigtbl 16385 :resorigcol 1 …}) …})`.
///
/// Only the outermost query's list counts: depth is followed by counting braces, and braces inside
/// quoted or escaped words are skipped.
fn target_list(tree: &str) -> Vec<(i16, Origin)> {
    let mut found = Vec::new();
    let mut depth = 0_usize;
    let mut in_list = false;
    let mut resno: Option<i16> = None;
    let mut relation: Option<u32> = None;
    let mut words = Words { rest: tree };
    while let Some(word) = words.next_word() {
        match word {
            "{" => depth += 1,
            "}" => depth = depth.saturating_sub(1),
            // `({QUERY` is depth 1, its entries are depth 2.
            ":targetList" if depth == 1 => in_list = true,
            word if depth == 1 && word.starts_with(':') => in_list = false,
            ":resno" if depth == 2 && in_list => {
                resno = words.next_word().and_then(|value| value.parse().ok());
            }
            ":resorigtbl" if depth == 2 && in_list => {
                relation = words.next_word().and_then(|value| value.parse().ok());
            }
            ":resorigcol" if depth == 2 && in_list => {
                let column = words.next_word().and_then(|value| value.parse().ok());
                if let (Some(position), Some(relation), Some(column)) =
                    (resno.take(), relation.take(), column)
                    && relation != 0
                    && column > 0
                {
                    found.push((position, Origin { relation, column }));
                }
            }
            _ => {}
        }
    }
    found
}

/// Words of a node tree: braces and parentheses stand alone, a backslash escapes a character, and
/// quoted strings are one word.
struct Words<'a> {
    rest: &'a str,
}

impl<'a> Words<'a> {
    fn next_word(&mut self) -> Option<&'a str> {
        self.rest = self.rest.trim_start();
        let first = self.rest.chars().next()?;
        let length = match first {
            '{' | '}' | '(' | ')' => 1,
            '"' => self.quoted_length(),
            _ => self.plain_length(),
        };
        let (word, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(word)
    }

    fn quoted_length(&self) -> usize {
        let mut escaped = false;
        for (index, c) in self.rest.char_indices().skip(1) {
            match c {
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                '"' => return index + 1,
                _ => {}
            }
        }
        self.rest.len()
    }

    fn plain_length(&self) -> usize {
        let mut escaped = false;
        for (index, c) in self.rest.char_indices() {
            match c {
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                '{' | '}' | '(' | ')' => return index,
                c if c.is_whitespace() => return index,
                _ => {}
            }
        }
        self.rest.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_outer_target_list_only() {
        let tree = "({QUERY :commandType 1 :rtable ({RTE :subquery {QUERY :targetList \
                    ({TARGETENTRY :resno 1 :resorigtbl 7 :resorigcol 7 :resjunk false})}}) \
                    :targetList ({TARGETENTRY :expr {VAR :varno 1} :resno 1 :resname odd\\ \\{name \
                    :ressortgroupref 0 :resorigtbl 16385 :resorigcol 2 :resjunk false} \
                    {TARGETENTRY :expr {CONST} :resno 2 :resname n :resorigtbl 0 :resorigcol 0 \
                    :resjunk false}) :override 0})";
        let origin = Origin {
            relation: 16385,
            column: 2,
        };
        assert_eq!(target_list(tree), vec![(1, origin)]);
    }
}
