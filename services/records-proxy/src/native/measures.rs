//! What the engines tell about themselves in metrics.

use std::ops::Deref;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use ingot_project::ProjectId;
use ingot_rest::Engine;

use super::Open;

const TIMEOUTS: &str = "records_pool_timeouts_total";

/// The engines of the process.
static ALL: Mutex<Vec<Weak<Open>>> = Mutex::new(Vec::new());

/// Has these engines looked at whenever metrics are read.
pub(super) fn of(open: &Arc<Open>) {
    let mut all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
    all.retain(|open| open.strong_count() > 0);
    all.push(Arc::downgrade(open));
    ingot_telemetry::begin_at_zero(&["records_schema_failures_total", TIMEOUTS]);
    ingot_telemetry::read_on_demand(read);
}

/// An engine whose counts outlive it.
#[derive(Debug)]
pub(super) struct Measured {
    project: ProjectId,
    engine: Engine,
    /// Timeouts that the metric has already.
    told: AtomicU64,
}

impl Measured {
    pub(super) fn new(project: ProjectId, engine: Engine) -> Self {
        Self {
            project,
            engine,
            told: AtomicU64::new(0),
        }
    }

    fn tell_timeouts(&self) {
        let now = self.engine.counts().pool_timeouts;
        let before = self.told.fetch_max(now, Ordering::Relaxed);
        metrics::counter!(TIMEOUTS).increment(now.saturating_sub(before));
    }

    fn tell_schema_age(&self, seconds: f64) {
        let project = self.project.to_string();
        metrics::gauge!("records_schema_age_seconds", "project" => project).set(seconds);
    }
}

impl Deref for Measured {
    type Target = Engine;

    fn deref(&self) -> &Engine {
        &self.engine
    }
}

impl Drop for Measured {
    fn drop(&mut self) {
        self.tell_timeouts();
        // A schema that nobody has does not age. Where another engine of the project is open, the
        // next look at it comes before metrics are printed.
        self.tell_schema_age(f64::NAN);
    }
}

/// Connections over all projects, and the age of each project's schema cache.
fn read() {
    let all = ALL.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let (mut used, mut most, mut waiting) = (0, 0, 0);
    for open in all.iter().filter_map(Weak::upgrade) {
        for (_, engine) in open.iter() {
            let pool = engine.pool();
            used += pool.max.saturating_sub(pool.available);
            most += pool.max;
            waiting += pool.waiting;
            engine.tell_timeouts();
            if let Some(age) = engine.schema_age() {
                engine.tell_schema_age(age.as_secs_f64());
            }
        }
    }
    // Beside those of the pools of login roles, under a name of its own.
    set(
        metrics::gauge!("database_pool_connections_used", "role" => "records"),
        used,
    );
    set(
        metrics::gauge!("database_pool_connections_max", "role" => "records"),
        most,
    );
    set(metrics::gauge!("records_requests_waiting"), waiting);
}

#[allow(clippy::needless_pass_by_value, reason = "a gauge is a handle")]
fn set(gauge: metrics::Gauge, count: usize) {
    #[allow(clippy::cast_precision_loss, reason = "there are few connections")]
    gauge.set(count as f64);
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::time::Duration;

    use http::{HeaderMap, Method};
    use ingot_rest::{EngineSettings, Request, Session, Target, Tls};
    use metrics_exporter_prometheus::PrometheusBuilder;
    use tokio::runtime::Builder;

    use super::*;

    /// An engine of which one request has waited in vain.
    fn disappointed() -> Measured {
        let settings = EngineSettings {
            request_timeout: Duration::from_millis(20),
            ..EngineSettings::default()
        };
        // It takes connections and never says a word.
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut database = tokio_postgres::Config::new();
        database.host("127.0.0.1").user("anybody");
        database.port(silent.local_addr().unwrap().port());
        let engine = Engine::new(settings, database, Tls::off()).unwrap();
        let request = Request {
            method: Method::GET,
            target: Target::Relation("things".to_owned()),
            query: String::new(),
            headers: HeaderMap::new(),
            body: bytes::Bytes::new(),
        };
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let session = Session {
            role: "anon".to_owned(),
            claims: "{}".to_owned(),
            authenticated: false,
            settings: Vec::new(),
        };
        runtime.block_on(engine.handle(request, &session));
        assert_eq!(engine.counts().pool_timeouts, 1);
        Measured::new("p1".parse().unwrap(), engine)
    }

    #[test]
    fn what_was_counted_stays_when_engines_are_closed() {
        let recorder = PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        metrics::with_local_recorder(&recorder, || {
            let (first, second) = (disappointed(), disappointed());
            first.tell_timeouts();
            second.tell_timeouts();
            second.tell_timeouts();
            assert!(handle.render().contains("records_pool_timeouts_total 2\n"));
            drop((first, second));
            // Closed before anybody has looked at it.
            drop(disappointed());
            let text = handle.render();
            assert!(text.contains("records_pool_timeouts_total 3\n"), "{text}");
        });
    }

    #[test]
    fn a_closed_engine_has_no_schema_age() {
        let recorder = PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        metrics::with_local_recorder(&recorder, || {
            let engine = disappointed();
            engine.tell_schema_age(7.0);
            let age = "records_schema_age_seconds{project=\"p1\"}";
            assert!(handle.render().contains(&format!("{age} 7\n")));
            drop(engine);
            assert!(handle.render().contains(&format!("{age} NaN\n")));
        });
    }
}
