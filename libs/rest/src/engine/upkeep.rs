//! Keeping the schema cache current: on notification, after a new connection, and when a request
//! names something that the cache does not know.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::Engine;
use crate::error::RestError;
use crate::executor::{Notice, close_idle, listen, query};
use crate::plan::Parsed;
use crate::request::Target;
use crate::schema::Schema;

/// Notices that may wait for the reload loop.
const NOTICES: usize = 16;

/// Pauses between attempts to load a cache that should have been reloaded.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// What [`Engine::run_telling`] tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard<'a> {
    /// Notifications arrive from now on. Earlier ones may have been missed.
    Connected,
    /// Somebody notified the channel with this.
    Payload(&'a str),
}

/// Idle connections are looked for no more often than this.
const SHORTEST_REST: Duration = Duration::from_secs(1);

impl Engine {
    /// Loads the schema cache anew. Requests go on with the old one meanwhile.
    pub async fn reload_schema(&self) -> Result<Arc<Schema>, RestError> {
        self.schema.reload(&self.pool, &self.settings).await
    }

    /// The schema cache, loaded now if it never was.
    pub async fn loaded_schema(&self) -> Result<Arc<Schema>, RestError> {
        match self.schema.current() {
            Some(schema) => Ok(schema),
            None => self.reload_schema().await,
        }
    }

    /// Keeps the schema cache current until `shutdown`: listens on the notification channel for
    /// `reload schema` and reloads after every new connection, since anything may have been missed
    /// before it. Closes connections that nobody uses.
    pub async fn run(&self, shutdown: CancellationToken) {
        self.run_telling(|_: Heard<'_>| {}, shutdown).await;
    }

    /// The same, for a host that has something of its own to keep current.
    pub async fn run_telling(&self, tell: impl Fn(Heard<'_>), shutdown: CancellationToken) {
        let (sender, mut notices) = mpsc::channel(NOTICES);
        let listener = async {
            let Some(channel) = self.settings.notification_channel.clone() else {
                return drop(sender);
            };
            let (config, tls) = (self.config.clone(), self.tls.clone());
            listen(config, tls, channel, sender, shutdown.clone()).await;
        };
        let reloader = async {
            while let Some(notice) = notices.recv().await {
                let wanted = match &notice {
                    Notice::Connected => true,
                    Notice::Payload(payload) => payload.is_empty() || payload == "reload schema",
                };
                tell(match &notice {
                    Notice::Connected => Heard::Connected,
                    Notice::Payload(payload) => Heard::Payload(payload),
                });
                if wanted {
                    Box::pin(self.reload_until_done(&shutdown)).await;
                }
            }
        };
        tokio::join!(Box::pin(listener), reloader, self.close_idle(&shutdown));
    }

    async fn close_idle(&self, shutdown: &CancellationToken) {
        let limit = self.settings.pool_idle_timeout;
        while !shutdown.is_cancelled() {
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = tokio::time::sleep(limit.max(SHORTEST_REST)) => close_idle(&self.pool, limit),
            }
        }
    }

    async fn reload_until_done(&self, shutdown: &CancellationToken) {
        let mut pause = FIRST_PAUSE;
        while self.reload_schema().await.is_err() {
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// A newer schema cache for a request that names something unknown, if there can be one.
    ///
    /// Names that exist nowhere cost one small query, not a reload. Other doubts (columns,
    /// relationships, types) reload, but never so often that reloading is all that happens.
    pub(super) async fn newer_schema(
        &self,
        parsed: &Parsed,
        schema: &Schema,
    ) -> Result<Option<Arc<Schema>>, RestError> {
        let profile = &parsed.profile.schema;
        let (known, probe, name) = match &parsed.target {
            Target::Root => return Ok(None),
            Target::Relation(name) => (
                schema.relation(profile, name).is_some(),
                RELATION_EXISTS,
                name,
            ),
            Target::Function(name) => (
                !schema.functions(profile, name).is_empty(),
                FUNCTION_EXISTS,
                name,
            ),
        };
        if known {
            let may = self.schema.wait_for_turn().await;
            return if may {
                self.reload_schema().await.map(Some)
            } else {
                Ok(None)
            };
        }
        let names: &[&str] = &[profile, name];
        let [found] = query(&self.pool, self.settings.pool_queue, [(probe, names)]).await?;
        if found.is_empty() {
            return Ok(None);
        }
        self.reload_schema().await.map(Some)
    }
}

const RELATION_EXISTS: &str = "SELECT FROM pg_class c \
    JOIN pg_namespace n ON n.oid = c.relnamespace \
    WHERE n.nspname = $1::text AND c.relname = $2::text \
    AND c.relkind IN ('r', 'v', 'm', 'f', 'p') LIMIT 1";

const FUNCTION_EXISTS: &str = "SELECT FROM pg_proc p \
    JOIN pg_namespace n ON n.oid = p.pronamespace \
    WHERE n.nspname = $1::text AND p.proname = $2::text AND p.prokind = 'f' LIMIT 1";
