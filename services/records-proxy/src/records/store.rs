//! Which columns of a table hold text, from PostgreSQL's catalogue, remembered for a while.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use ingot_project::{LoginRole, PoolError, Pools, ProjectId};
use moka::future::Cache;

/// How long a table's columns are remembered (contract, database §4.5).
const TIME_TO_LIVE: Duration = Duration::from_mins(5);
/// Tables that are remembered per project.
const TABLES_PER_PROJECT: u64 = 100;

/// Columns that can hold an empty string: text, varchar, char, citext, and domains over them.
const TEXT_COLUMNS: &str = "
    select coalesce(array_agg(a.attname::text) filter (
        where coalesce(base.typname, t.typname) in ('text', 'varchar', 'bpchar', 'citext')), '{}')
    from pg_catalog.pg_class c
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    join pg_catalog.pg_type t on t.oid = a.atttypid
    left join pg_catalog.pg_type base on base.oid = t.typbasetype
    where n.nspname = $1 and c.relname = $2 and c.relkind in ('r', 'p', 'v', 'm', 'f')
    group by c.oid";

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    project: ProjectId,
    /// Counts the schema changes of the project: what was read before one is never found after it,
    /// even if the read was still under way.
    generation: u64,
    schema: String,
    table: String,
}

/// Names of a table's text columns.
pub(super) type TextColumns = HashSet<String>;

/// The column types of all projects' tables.
#[derive(Debug)]
pub(crate) struct ColumnTypes {
    pools: Pools,
    known: Cache<Key, Arc<TextColumns>>,
    generations: RwLock<HashMap<ProjectId, u64>>,
}

/// The columns could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ColumnsError {
    /// No connection belongs to the project.
    #[error(transparent)]
    Pool(PoolError),
    /// The catalogue did not answer.
    #[error(transparent)]
    Database(sqlx::Error),
}

impl ColumnTypes {
    /// Nothing is read before it is needed.
    pub(crate) fn new(pools: Pools) -> Self {
        let projects = u64::try_from(pools.registry().iter().count()).unwrap_or(u64::MAX);
        Self {
            pools,
            known: Cache::builder()
                .max_capacity(TABLES_PER_PROJECT.saturating_mul(projects.max(1)))
                .time_to_live(TIME_TO_LIVE)
                .build(),
            generations: RwLock::default(),
        }
    }

    /// The text columns of a table; `None` if there is no such table, which is not remembered.
    pub(super) async fn text_columns(
        &self,
        project: &ProjectId,
        schema: &str,
        table: &str,
    ) -> Result<Option<Arc<TextColumns>>, ColumnsError> {
        let key = Key {
            project: project.clone(),
            generation: self.generation(project),
            schema: schema.to_owned(),
            table: table.to_owned(),
        };
        if let Some(columns) = self.known.get(&key).await {
            return Ok(Some(columns));
        }
        let columns = self.read(project, schema, table).await?.map(Arc::new);
        if let Some(columns) = &columns {
            self.known.insert(key, Arc::clone(columns)).await;
        }
        Ok(columns)
    }

    /// Forgets what is known of a project's tables.
    pub(crate) fn forget(&self, project: &ProjectId) {
        let mut generations = self
            .generations
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        *generations.entry(project.clone()).or_default() += 1;
    }

    fn generation(&self, project: &ProjectId) -> u64 {
        let generations = self
            .generations
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        generations.get(project).copied().unwrap_or_default()
    }

    async fn read(
        &self,
        project: &ProjectId,
        schema: &str,
        table: &str,
    ) -> Result<Option<TextColumns>, ColumnsError> {
        let pool = self
            .pools
            .get(project, LoginRole::Service)
            .map_err(ColumnsError::Pool)?;
        let names: Option<Vec<String>> = sqlx::query_scalar(TEXT_COLUMNS)
            .bind(schema)
            .bind(table)
            .fetch_optional(&pool)
            .await
            .map_err(ColumnsError::Database)?;
        Ok(names.map(TextColumns::from_iter))
    }
}
