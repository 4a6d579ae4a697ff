//! The request log and the request metrics (contract, platform §8).

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use ingot_telemetry::Durations;
use metrics::{Counter, counter};
use pingora::Error;
use serde::Serialize;
use tracing::{Level, Span};

use crate::exchange::Exchange;
use crate::routes::Service;

/// Name of the log in `LOG_LEVEL`, and in its lines.
const TARGET: &str = "ingot_edge::access";
const MESSAGE: &str = "request";
const DURATION: &str = "edge_request_duration_seconds";

/// Requests to paths with this in them are not logged: whoever reads logs would fill them.
const READS_LOGS: &str = "/logs/";
/// What a client that left before its answer is logged as (nginx's number for it).
const CLIENT_LEFT: u16 = 499;
/// Status classes, from 1xx to 5xx.
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// A finished request, besides what its exchange knows.
#[derive(Debug)]
pub(crate) struct Told<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) user_agent: Option<&'a str>,
    /// None when nothing was answered.
    pub(crate) status: Option<u16>,
    /// Bytes of the answer's body.
    pub(crate) size: usize,
    pub(crate) error: Option<&'a Error>,
}

/// Metrics of one service, looked up once.
#[derive(Clone)]
struct Measures {
    requests: [Counter; CLASSES.len()],
    durations: Durations,
}

impl Measures {
    fn of(service: &'static str) -> Self {
        Self {
            requests: CLASSES.map(
                |class| counter!("edge_requests_total", "service" => service, "status" => class),
            ),
            durations: Durations::of(DURATION, &[("service", service.to_owned())]),
        }
    }

    /// `span` is the request's where traces are exported.
    fn note(&self, status: u16, took: Duration, span: &Span) {
        let class = usize::from(status / 100).saturating_sub(1);
        if let Some(counter) = self.requests.get(class) {
            counter.increment(1);
        }
        span.in_scope(|| self.durations.record(took.as_secs_f64()));
    }
}

/// Writes the log and counts.
#[derive(Clone)]
pub(crate) struct AccessLog {
    services: [Measures; Service::ALL.len()],
    /// Requests that the edge answered before it knew a service.
    none: Measures,
}

impl AccessLog {
    /// Registers the metrics.
    pub(crate) fn new() -> Self {
        Self {
            services: Service::ALL.map(|service| Measures::of(service.name())),
            none: Measures::of("none"),
        }
    }

    /// Notes a finished request.
    pub(crate) fn note(&self, told: &Told<'_>, exchange: &Exchange) {
        let took = exchange.started.elapsed();
        let status = told.status.unwrap_or(CLIENT_LEFT);
        let service = exchange.service();
        service
            .and_then(|service| self.services.get(service.index()))
            .unwrap_or(&self.none)
            .note(status, took, &exchange.span);
        exchange.span.record("http.response.status_code", status);
        let path = told.path;
        if path.contains(READS_LOGS) || !tracing::enabled!(target: TARGET, Level::INFO) {
            return;
        }
        Record {
            method: told.method,
            path,
            status,
            size: told.size,
            duration_ms: millis(took),
            ip: exchange.client,
            user_agent: told.user_agent,
            request_id: exchange.request_id.to_str().unwrap_or_default(),
            trace_id: exchange.trace.id(),
            project: exchange.project.to_str().unwrap_or_default(),
            service: service.map(Service::name),
            upstream: exchange.lease.as_ref().map(|lease| lease.member().address),
            error: told.error.map(Error::to_string),
        }
        .write();
    }
}

/// A line of the request log.
#[derive(Debug, Serialize)]
struct Record<'a> {
    method: &'a str,
    path: &'a str,
    status: u16,
    /// Bytes of the answer's body.
    size: usize,
    duration_ms: f64,
    ip: IpAddr,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_agent: Option<&'a str>,
    request_id: &'a str,
    trace_id: &'a str,
    project: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    service: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    upstream: Option<SocketAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl Record<'_> {
    fn write(&self) {
        if ingot_telemetry::log_record(TARGET, MESSAGE, self) {
            return;
        }
        tracing::info!(
            target: TARGET,
            method = self.method,
            path = self.path,
            status = self.status,
            size = self.size,
            duration_ms = self.duration_ms,
            ip = %self.ip,
            user_agent = self.user_agent,
            request_id = self.request_id,
            trace_id = self.trace_id,
            project = self.project,
            service = self.service,
            upstream = self.upstream.map(tracing::field::display),
            error = self.error,
            "{MESSAGE}"
        );
    }
}

/// Milliseconds with three digits after the point.
fn millis(took: Duration) -> f64 {
    (took.as_secs_f64() * 1_000_000.0).round() / 1000.0
}
