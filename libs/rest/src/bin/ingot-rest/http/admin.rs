//! The admin server: health, the schema cache, metrics. Settings are shown only if a setting says
//! so: secrets are among them.

use std::fmt::Write as _;

use ::http::{Method, Request, StatusCode};

use super::{Answer, answer};
use crate::state::State;

pub(super) async fn handle<B>(state: &State, request: &Request<B>) -> Answer {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return answer(StatusCode::METHOD_NOT_ALLOWED, "text/plain", "");
    }
    let running = state.running();
    match request.uri().path() {
        "/live" => answer(StatusCode::OK, "text/plain", ""),
        "/ready" => {
            let ready = running.engine.schema().is_some() && running.engine.ping().await.is_ok();
            let status = if ready {
                StatusCode::OK
            } else {
                StatusCode::SERVICE_UNAVAILABLE
            };
            answer(status, "text/plain", "")
        }
        "/schema_cache" => match running.engine.schema() {
            Some(schema) => answer(
                StatusCode::OK,
                "application/json; charset=utf-8",
                schema.to_json().to_string(),
            ),
            None => answer(StatusCode::SERVICE_UNAVAILABLE, "text/plain", ""),
        },
        "/config" if running.settings.shows_values => answer(
            StatusCode::OK,
            "text/plain; charset=utf-8",
            running.settings.values.dump(),
        ),
        "/metrics" => answer(StatusCode::OK, "text/plain; charset=utf-8", metrics(state)),
        _ => answer(StatusCode::NOT_FOUND, "text/plain", ""),
    }
}

/// In Prometheus' text format, under PostgREST's names.
fn metrics(state: &State) -> String {
    let engine = &state.running().engine;
    let pool = engine.pool();
    let counts = engine.counts();
    let load = counts.schema_load_time.as_secs_f64();
    let gauges = [
        (
            "pgrst_schema_cache_query_time_seconds",
            "The query time in seconds of the last schema cache load",
            load,
        ),
        (
            "pgrst_db_pool_available",
            "Available connections in the pool",
            number(pool.available),
        ),
        (
            "pgrst_db_pool_waiting",
            "Requests waiting to acquire a pool connection",
            number(pool.waiting),
        ),
        (
            "pgrst_db_pool_max",
            "Max pool connections",
            number(pool.max),
        ),
    ];
    let mut text = String::new();
    for (name, help, value) in gauges {
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "# HELP {name} {help}\n# TYPE {name} gauge\n{name} {value}"
        );
    }
    let name = "pgrst_schema_cache_loads_total";
    let _ = writeln!(
        text,
        "# HELP {name} The total number of times the schema cache was loaded\n# TYPE {name} counter\n\
         {name}{{status=\"SUCCESS\"}} {}\n{name}{{status=\"FAIL\"}} {}",
        counts.schema_loads, counts.schema_load_failures,
    );
    let name = "pgrst_db_pool_timeouts_total";
    let _ = writeln!(
        text,
        "# HELP {name} The total number of pool connection timeouts\n# TYPE {name} counter\n{name} {}",
        counts.pool_timeouts,
    );
    text
}

fn number(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}
