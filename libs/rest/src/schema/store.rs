//! Holds the current version of the schema cache and reloads it, one reload at a time.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use arc_swap::ArcSwapOption;
use tokio::sync::{Mutex, OnceCell};
use tokio_postgres::Client;

use super::loader;
use super::model::Schema;
use crate::settings::EngineSettings;

/// The current schema. Readers never wait for a reload.
#[derive(Default)]
pub(crate) struct SchemaStore {
    current: ArcSwapOption<Schema>,
    version: AtomicU64,
    /// Serialises reloads. Held across the load on purpose: those who wait want its outcome.
    reload: Mutex<()>,
    timezones: OnceCell<HashSet<String>>,
}

impl SchemaStore {
    pub(crate) fn current(&self) -> Option<Arc<Schema>> {
        self.current.load_full()
    }

    /// Loads anew, unless somebody else did so since the caller looked at `seen`.
    pub(crate) async fn reload(
        &self,
        client: &Client,
        settings: &EngineSettings,
    ) -> Result<Arc<Schema>, tokio_postgres::Error> {
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
        let mut schema = loader::load(client, settings).await?;
        schema.version = self.version.fetch_add(1, Ordering::AcqRel) + 1;
        tracing::info!(
            relations = schema.relations.len(),
            functions = schema.functions.len(),
            version = schema.version,
            milliseconds = started.elapsed().as_millis(),
            "schema cache loaded"
        );
        let schema = Arc::new(schema);
        self.current.store(Some(schema.clone()));
        Ok(schema)
    }

    /// Whether PostgreSQL knows a timezone. The list is long and slow to make, so it is read once,
    /// by the first request that names a zone.
    pub(crate) async fn knows_timezone(
        &self,
        client: &Client,
        zone: &str,
    ) -> Result<bool, tokio_postgres::Error> {
        let load = || async {
            let rows = client
                .query_typed("SELECT name FROM pg_timezone_names", &[])
                .await?;
            rows.iter().map(|row| row.try_get(0)).collect()
        };
        Ok(self.timezones.get_or_try_init(load).await?.contains(zone))
    }
}
