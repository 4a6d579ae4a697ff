//! Which of several errors is told: the one that PostgREST finds first. It looks at a request in
//! stages, for each of them at all of the request; planning here goes through it once, and only
//! where that fails the stages are looked at again.

use super::{Parsed, Planner};
use crate::error::RestError;
use crate::request::query::EmbedPath;
use crate::request::select::{SelectItem, SelectRelation};
use crate::schema::ObjectName;

impl Planner<'_> {
    /// What to tell of a request that fails with `error`. `source`: what it reads or writes.
    /// `later`: what is found wrong after planning, but before PostgreSQL is asked.
    pub(crate) fn first_error(
        &self,
        parsed: &Parsed,
        source: &ObjectName,
        error: RestError,
        later: impl FnOnce() -> Result<(), RestError>,
    ) -> RestError {
        if let Err(earlier) = self.embeds(parsed, source) {
            return earlier;
        }
        // PostgREST leaves it to PostgreSQL to find the others.
        if error.code().is_empty() || error.code().starts_with("PGRST") {
            return error;
        }
        later().err().unwrap_or(error)
    }

    fn embeds(&self, parsed: &Parsed, source: &ObjectName) -> Result<(), RestError> {
        let query = &parsed.query;
        let items = query.select.as_slice();
        let present = |path: &EmbedPath| path_is_embedded(items, path);
        // Of several, PostgREST meets the last first.
        query
            .filters
            .iter()
            .rev()
            .try_for_each(|(path, _)| present(path))?;
        if !parsed.writes_rows() {
            query
                .order
                .iter()
                .rev()
                .try_for_each(|(path, _)| present(path))?;
            query.windows.keys().rev().try_for_each(present)?;
        }
        query
            .logic
            .iter()
            .rev()
            .try_for_each(|(path, _)| present(path))?;
        let mut spread = None;
        self.relationships(source, items, &mut spread)?;
        if let Some(error) = spread {
            return Err(error);
        }
        if !self.settings.aggregates_enabled && items.iter().any(SelectItem::aggregates) {
            return Err(RestError::aggregates_disabled());
        }
        Ok(())
    }

    fn relationships(
        &self,
        parent: &ObjectName,
        items: &[SelectItem],
        spread: &mut Option<RestError>,
    ) -> Result<(), RestError> {
        for relation in relations(items) {
            let found = self.find_relationship(parent, relation)?;
            if relation.spread && !found.cardinality.is_to_one() {
                spread.get_or_insert_with(|| {
                    RestError::spread_not_to_one(&parent.name, &relation.name)
                });
            }
            self.relationships(&found.target, &relation.items, spread)?;
        }
        Ok(())
    }
}

fn relations(items: &[SelectItem]) -> impl Iterator<Item = &SelectRelation> {
    items.iter().filter_map(|item| match item {
        SelectItem::Relation(relation) => Some(relation),
        SelectItem::Column(_) => None,
    })
}

fn path_is_embedded(mut items: &[SelectItem], path: &EmbedPath) -> Result<(), RestError> {
    for name in path {
        let named = |relation: &&SelectRelation| {
            relation.name == *name || relation.alias.as_ref() == Some(name)
        };
        let found = relations(items).find(named);
        items = &found.ok_or_else(|| RestError::not_embedded(name))?.items;
    }
    Ok(())
}
