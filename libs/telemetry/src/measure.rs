//! Prometheus metrics: code uses the `metrics` macros, `/metrics` prints them.

use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

use crate::exemplars::open_metrics;

/// Upper bounds of duration histograms, in seconds.
pub(crate) const DURATION_BUCKETS: [f64; 13] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

/// Media type of OpenMetrics.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Time between two rounds of adding up.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);

static RECORDER: OnceLock<PrometheusHandle> = OnceLock::new();

/// Asked before metrics are printed.
static READINGS: Mutex<Vec<Reading>> = Mutex::new(Vec::new());

type Reading = fn();

/// Makes this process's metrics go to one Prometheus registry. Later calls do nothing.
pub(crate) fn install() {
    RECORDER.get_or_init(|| {
        let builder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &DURATION_BUCKETS)
            .unwrap_or_else(|_| PrometheusBuilder::new());
        let recorder = builder.build_recorder();
        let handle = recorder.handle();
        // Another recorder can only be there in a test that installed its own.
        if metrics::set_global_recorder(recorder).is_err() {
            tracing::warn!("a metrics recorder is already installed; /metrics stays empty");
        }
        keep_up(handle.clone());
        handle
    });
    read_on_demand(crate::process::read);
}

/// Has `reading` set gauges each time before metrics are printed: for what is cheaper to look at
/// then than to follow. Asking for the same again changes nothing.
pub fn read_on_demand(reading: fn()) {
    let mut readings = READINGS.lock().unwrap_or_else(PoisonError::into_inner);
    if !readings
        .iter()
        .any(|known| std::ptr::fn_addr_eq(*known, reading))
    {
        readings.push(reading);
    }
}

/// Makes counters known before they first count: an alert on growth sees the first event only if
/// there was a zero before it.
pub fn begin_at_zero(counters: &[&'static str]) {
    for name in counters {
        metrics::counter!(*name).increment(0);
    }
}

/// Histograms keep every sample until somebody adds them up, and `/metrics` may never be read.
fn keep_up(handle: PrometheusHandle) {
    let upkeep = move || {
        loop {
            std::thread::sleep(UPKEEP_EVERY);
            handle.run_upkeep();
        }
    };
    let thread = std::thread::Builder::new().name("metrics-upkeep".to_owned());
    if let Err(error) = thread.spawn(upkeep) {
        tracing::warn!(%error, "metrics grow until they are read");
    }
}

/// All metrics of this process, and the media type that they are in: OpenMetrics with exemplars if
/// `accept`, the request's header, names it, else Prometheus' text format.
pub fn metrics_answer(accept: Option<&str>) -> (&'static str, String) {
    if accept.is_some_and(wants_open_metrics) {
        (OPEN_METRICS, open_metrics(&metrics_text()))
    } else {
        ("text/plain; version=0.0.4; charset=utf-8", metrics_text())
    }
}

/// Scrapers that know the format put it first; `q=0` would refuse it.
fn wants_open_metrics(accept: &str) -> bool {
    accept.split(',').any(|range| {
        let mut parts = range.split(';').map(str::trim);
        let named = parts
            .next()
            .is_some_and(|name| name.eq_ignore_ascii_case("application/openmetrics-text"));
        let refused = |part: &str| {
            let weight = part.strip_prefix("q=").and_then(|q| q.parse::<f64>().ok());
            weight.is_some_and(|q| q <= 0.0)
        };
        named && !parts.any(refused)
    })
}

/// All metrics of this process in Prometheus' text format.
pub fn metrics_text() -> String {
    let readings = READINGS
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone();
    for reading in readings {
        reading();
    }
    RECORDER
        .get()
        .map(|handle| {
            handle.run_upkeep();
            handle.render()
        })
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_metrics_is_for_whoever_asks() {
        // As Prometheus 2 and 3 ask.
        let prometheus = "application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        assert_eq!(metrics_answer(Some(prometheus)).0, OPEN_METRICS);
        for plain in [
            None,
            Some("*/*"),
            Some("text/plain"),
            Some("application/openmetrics-text;q=0"),
        ] {
            assert!(
                metrics_answer(plain).0.starts_with("text/plain"),
                "{plain:?}"
            );
        }
        assert!(metrics_answer(Some(prometheus)).1.ends_with("# EOF\n"));
    }
}
