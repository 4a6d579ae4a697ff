//! Holds the current version of the schema cache and reloads it, one reload at a time.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use tokio::sync::{Mutex, OnceCell};

use super::loader;
use super::model::Schema;
use crate::error::{RestError, from_wire};
use crate::executor::{Connections, query};
use crate::settings::EngineSettings;
use crate::wire::WireError;

/// Reloads on suspicion take at most this share of the time: one part loading, this many resting.
const REST_FACTOR: u32 = 4;

/// Longest time that reading the catalogue may take.
const LOAD_TIMEOUT: Duration = Duration::from_mins(1);

/// Longest wait of a request for its turn to reload on suspicion.
const PATIENCE: Duration = Duration::from_secs(3);

/// The current schema. Readers never wait for a reload.
#[derive(Default)]
pub(crate) struct SchemaStore {
    current: ArcSwapOption<Schema>,
    version: AtomicU64,
    failures: AtomicU64,
    /// How long the last load took, in microseconds.
    took: AtomicU64,
    /// When the last load ended.
    loaded: ArcSwapOption<Instant>,
    /// Serialises reloads. Held across the load on purpose: those who wait want its outcome.
    reload: Mutex<()>,
    /// From when on a reload on suspicion is allowed.
    rested: ArcSwapOption<Instant>,
    timezones: OnceCell<HashSet<String>>,
}

impl SchemaStore {
    pub(crate) fn current(&self) -> Option<Arc<Schema>> {
        self.current.load_full()
    }

    /// Loads that succeeded, loads that failed, and how long the last took.
    pub(crate) fn loads(&self) -> (u64, u64, Duration) {
        (
            self.version.load(Ordering::Relaxed),
            self.failures.load(Ordering::Relaxed),
            Duration::from_micros(self.took.load(Ordering::Relaxed)),
        )
    }

    /// How old the current schema is.
    pub(crate) fn age(&self) -> Option<Duration> {
        self.loaded.load_full().map(|loaded| loaded.elapsed())
    }

    /// Loads anew, unless somebody else began to after this call.
    pub(crate) async fn reload(
        &self,
        pool: &Connections,
        settings: &EngineSettings,
    ) -> Result<Arc<Schema>, RestError> {
        let before = self.version.load(Ordering::Acquire);
        let _turn = self.reload.lock().await;
        // A load that began after this call is as good as one of our own; one that was under way
        // already may have missed what the caller is after.
        if self.version.load(Ordering::Acquire) >= before + 2
            && let Some(current) = self.current()
        {
            return Ok(current);
        }
        let started = Instant::now();
        // A connection is taken only now, so that those who wait their turn hold none.
        let loading = loader::load(pool, settings);
        let loaded = tokio::time::timeout(LOAD_TIMEOUT, loading).await;
        if !matches!(loaded, Ok(Ok(_))) {
            self.failures.fetch_add(1, Ordering::Relaxed);
        }
        let mut schema = match loaded {
            Ok(Ok(schema)) => schema,
            Ok(Err(error)) if error.is_of_connection() => return Err(error),
            Ok(Err(error)) => {
                tracing::error!(%error, "could not load the schema cache");
                return Err(RestError::no_schema());
            }
            Err(_) => {
                tracing::error!(timeout = ?LOAD_TIMEOUT, "the catalogue could not be read in time");
                return Err(RestError::no_schema());
            }
        };
        let took = started.elapsed();
        let microseconds = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.took.store(microseconds, Ordering::Relaxed);
        schema.version = self.version.fetch_add(1, Ordering::AcqRel) + 1;
        tracing::info!(
            relations = schema.relations.len(),
            functions = schema.functions.len(),
            version = schema.version,
            milliseconds = took.as_millis(),
            "schema cache loaded"
        );
        let schema = Arc::new(schema);
        self.current.store(Some(schema.clone()));
        self.loaded.store(Some(Arc::new(Instant::now())));
        self.rested
            .store(Some(Arc::new(Instant::now() + took * REST_FACTOR)));
        Ok(schema)
    }

    /// Waits until a reload on suspicion is fair. False if that would take too long.
    pub(crate) async fn wait_for_turn(&self) -> bool {
        let rested = self.rested.load_full();
        let wait = rested.map(|at| at.saturating_duration_since(Instant::now()));
        let wait = wait.unwrap_or_default();
        if wait > PATIENCE {
            return false;
        }
        tokio::time::sleep(wait).await;
        true
    }

    /// The timezones that PostgreSQL knows. The list is slow to make, so it is read once, by the
    /// first request that names a zone.
    pub(crate) async fn timezones(
        &self,
        pool: &Connections,
        settings: &EngineSettings,
    ) -> Result<&HashSet<String>, RestError> {
        let load = || async {
            let names = "SELECT name FROM pg_timezone_names";
            let [rows] = query(pool, settings.pool_queue, [(names, &[])]).await?;
            let names: Result<_, WireError> = rows.iter().map(|row| row.get(0)).collect();
            names.map_err(|error| from_wire(&error, true))
        };
        self.timezones.get_or_try_init(load).await
    }
}
