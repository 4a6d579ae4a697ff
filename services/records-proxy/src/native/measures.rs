//! What the engines tell about themselves in metrics.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::Open;

/// The engines of the process.
static ALL: Mutex<Vec<Weak<Open>>> = Mutex::new(Vec::new());

/// Has these engines looked at whenever metrics are read.
pub(super) fn of(open: &Arc<Open>) {
    let mut all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
    all.retain(|open| open.strong_count() > 0);
    all.push(Arc::downgrade(open));
    ingot_telemetry::begin_at_zero(&["records_schema_failures_total"]);
    ingot_telemetry::read_on_demand(read);
}

/// Connections over all projects, and the age of each project's schema cache.
fn read() {
    let all = ALL.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let (mut used, mut most, mut waiting, mut timeouts) = (0, 0, 0, 0);
    for open in all.iter().filter_map(Weak::upgrade) {
        for (project, engine) in open.iter() {
            let pool = engine.pool();
            used += pool.max.saturating_sub(pool.available);
            most += pool.max;
            waiting += pool.waiting;
            timeouts += engine.counts().pool_timeouts;
            if let Some(age) = engine.schema_age() {
                let project = project.to_string();
                metrics::gauge!("records_schema_age_seconds", "project" => project)
                    .set(age.as_secs_f64());
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
    // It never falls, also when an engine is closed.
    metrics::counter!("records_pool_timeouts_total").absolute(timeouts);
}

#[allow(clippy::needless_pass_by_value, reason = "a gauge is a handle")]
fn set(gauge: metrics::Gauge, count: usize) {
    #[allow(clippy::cast_precision_loss, reason = "there are few connections")]
    gauge.set(count as f64);
}
