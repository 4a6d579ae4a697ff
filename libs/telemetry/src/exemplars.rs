//! Exemplars: for each bucket of a duration histogram, the trace of one observation that fell into
//! it. Only traces that are exported are kept, for others nobody could look up.
//!
//! `/metrics` prints them in the OpenMetrics format, for whoever asks for it
//! (<https://prometheus.io/docs/specs/om/open_metrics_spec/>).

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use metrics::Histogram;
use opentelemetry::trace::{TraceContextExt, TraceId};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::measure::DURATION_BUCKETS;

/// Series that have exemplars; those beyond have none.
const MAX_SERIES: usize = 4096;

/// Of each bucket, and of the one without an upper bound.
type Slots = Mutex<[Option<Exemplar>; DURATION_BUCKETS.len() + 1]>;

/// A histogram's name and its labels, by name.
type Series = (String, Vec<(String, String)>);

static SERIES: LazyLock<Mutex<HashMap<Series, Arc<Slots>>>> = LazyLock::new(Mutex::default);

#[derive(Debug, Clone)]
struct Exemplar {
    trace: TraceId,
    value: f64,
    /// Seconds since 1970.
    at: f64,
}

/// A histogram of durations, each bucket of which names a trace that fell into it. To be looked up
/// once and kept: recording allocates nothing, and shares no lock with other series.
#[derive(Debug, Clone)]
pub struct Durations {
    histogram: Histogram,
    /// `None` where there are too many series.
    slots: Option<Arc<Slots>>,
}

impl Durations {
    /// The series of a histogram that has these labels.
    pub fn of(histogram: &'static str, labels: &[(&'static str, String)]) -> Self {
        Self {
            slots: slots(histogram, labels),
            histogram: metrics::histogram!(histogram, labels),
        }
    }

    /// Notes a duration, and the current span's trace as an example of it, if that is exported.
    pub fn record(&self, seconds: f64) {
        self.histogram.record(seconds);
        if !crate::exports_traces() {
            return;
        }
        let context = tracing::Span::current().context();
        let span = context.span().span_context().clone();
        if span.is_valid() && span.is_sampled() {
            self.note(seconds, span.trace_id());
        }
    }

    fn note(&self, seconds: f64, trace: TraceId) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let exemplar = Exemplar {
            trace,
            value: seconds,
            at: now.unwrap_or_default().as_secs_f64(),
        };
        let bucket = DURATION_BUCKETS.partition_point(|bound| *bound < seconds);
        let Some(slots) = &self.slots else {
            return;
        };
        let mut slots = slots.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = slots.get_mut(bucket) {
            *slot = Some(exemplar);
        }
    }
}

fn slots(histogram: &str, labels: &[(&'static str, String)]) -> Option<Arc<Slots>> {
    let mut labels: Vec<_> = labels
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.clone()))
        .collect();
    labels.sort();
    let mut series = SERIES.lock().unwrap_or_else(PoisonError::into_inner);
    let key = (histogram.to_owned(), labels);
    if !series.contains_key(&key) && series.len() >= MAX_SERIES {
        return None;
    }
    Some(Arc::clone(series.entry(key).or_default()))
}

/// Metrics in Prometheus' text format as OpenMetrics, with exemplars.
pub(crate) fn open_metrics(text: &str) -> String {
    let series = SERIES
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone();
    let mut output = String::with_capacity(text.len() + text.len() / 4);
    // Writing into a String cannot fail.
    for line in text.lines().filter(|line| !line.is_empty()) {
        if let Some(family) = line.strip_prefix("# TYPE ") {
            let family = match family.strip_suffix(" counter") {
                Some(name) => format!("{} counter", name.strip_suffix("_total").unwrap_or(name)),
                None => family.to_owned(),
            };
            let _ = writeln!(output, "# TYPE {family}");
            continue;
        }
        output.push_str(line);
        if let Some(Exemplar { trace, value, at }) = found(&series, line) {
            let _ = write!(output, " # {{trace_id=\"{trace}\"}} {value} {at:.3}");
        }
        output.push('\n');
    }
    output.push_str("# EOF\n");
    output
}

/// The exemplar of a line such as `x_seconds_bucket{route="/",le="0.5"} 3`.
fn found(series: &HashMap<Series, Arc<Slots>>, line: &str) -> Option<Exemplar> {
    let (name, rest) = line.split_once('{')?;
    let histogram = name.strip_suffix("_bucket")?;
    let mut labels = labels(rest.rsplit_once('}')?.0)?;
    let bound = labels.iter().position(|(name, _)| name == "le")?;
    let bound = labels.remove(bound).1;
    let bucket = match bound.parse::<f64>().ok()? {
        bound if bound.is_finite() => DURATION_BUCKETS
            .iter()
            .position(|known| known.total_cmp(&bound).is_eq())?,
        _ => DURATION_BUCKETS.len(),
    };
    labels.sort();
    let slots = series.get(&(histogram.to_owned(), labels))?;
    let slots = slots.lock().unwrap_or_else(PoisonError::into_inner);
    slots.get(bucket)?.clone()
}

/// `a="x",b="y"` in pairs. Values as they are after unescaping.
fn labels(text: &str) -> Option<Vec<(String, String)>> {
    let mut pairs = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (name, after) = rest.split_once("=\"")?;
        let mut value = String::new();
        let mut characters = after.char_indices();
        let end = loop {
            match characters.next()? {
                (place, '"') => break place,
                (_, '\\') => match characters.next()?.1 {
                    'n' => value.push('\n'),
                    other => value.push(other),
                },
                (_, other) => value.push(other),
            }
        };
        pairs.push((name.trim_start_matches(',').to_owned(), value));
        rest = after.get(end + 1..)?;
    }
    Some(pairs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_names_the_trace_that_fell_into_it() {
        let of = |route: &str| [("route", route.to_owned()), ("method", "GET".to_owned())];
        let odd = Durations::of("x_seconds", &of("/a,\"b\"}"));
        odd.note(0.3, TraceId::from(0xabc));
        // Whoever asks for the same series has the same exemplars.
        Durations::of("x_seconds", &of("/a,\"b\"}")).note(60.0, TraceId::from(0xdef));
        Durations::of("x_seconds", &of("/other")).note(0.3, TraceId::from(1));
        let text = "# HELP x_seconds how long\n# TYPE x_seconds histogram\n\
            x_seconds_bucket{method=\"GET\",route=\"/a,\\\"b\\\"}\",le=\"0.25\"} 0\n\
            x_seconds_bucket{method=\"GET\",route=\"/a,\\\"b\\\"}\",le=\"0.5\"} 1\n\
            x_seconds_bucket{method=\"GET\",route=\"/a,\\\"b\\\"}\",le=\"+Inf\"} 2\n\
            x_seconds_sum{method=\"GET\",route=\"/a,\\\"b\\\"}\"} 60.3\n\n\
            # TYPE y_total counter\ny_total 3\n\n# TYPE z gauge\nz 1\n\n";
        let answer = open_metrics(text);
        let lines: Vec<_> = answer.lines().collect();
        assert_eq!(lines[2], text.lines().nth(2).unwrap());
        assert!(
            lines[3]
                .contains("le=\"0.5\"} 1 # {trace_id=\"00000000000000000000000000000abc\"} 0.3 "),
            "{answer}"
        );
        assert!(
            lines[4].contains("} 2 # {trace_id=\"00000000000000000000000000000def\"} 60 "),
            "{answer}"
        );
        assert!(lines[5].ends_with("} 60.3"), "{answer}");
        assert_eq!(
            &lines[6..],
            [
                "# TYPE y counter",
                "y_total 3",
                "# TYPE z gauge",
                "z 1",
                "# EOF"
            ]
        );
    }

    #[test]
    fn a_bound_belongs_to_its_bucket() {
        Durations::of("bound_seconds", &[]).note(0.5, TraceId::from(1));
        let bucket = |bound| {
            let line = format!("bound_seconds_bucket{{le=\"{bound}\"}} 1\n");
            open_metrics(&line).contains("trace_id")
        };
        assert_eq!(
            [bucket("0.25"), bucket("0.5"), bucket("1")],
            [false, true, false]
        );
    }
}
