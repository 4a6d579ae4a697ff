//! A span and the RED metrics for each HTTP request of a service.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, PoisonError, RwLock};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::extract::MatchedPath;
use http::{Method, Request, Response};
use ingot_telemetry::{Durations, parent_from};
use metrics::Counter;
use tower::{Layer, Service};
use tracing::Instrument;

const REQUESTS: &str = "http_server_requests_total";
const DURATION: &str = "http_server_request_duration_seconds";

/// The metrics of requests with the same method, route and status.
#[derive(Debug)]
struct Measures {
    requests: Counter,
    durations: Durations,
}

/// A method, by the name that it has in metrics, and a status.
type Kind = (&'static str, u16);

/// Metrics that were looked up before, by kind and route.
#[derive(Debug, Default)]
struct Known(RwLock<HashMap<Kind, HashMap<String, Measures>>>);

impl Known {
    fn note(&self, method: &Method, route: &str, status: u16, took: Duration) {
        let kind = (name(method), status);
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(measures) = known.get(&kind).and_then(|routes| routes.get(route)) {
            return measures.note(took);
        }
        drop(known);
        let measures = Measures::of(kind, route);
        measures.note(took);
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        known
            .entry(kind)
            .or_default()
            .insert(route.to_owned(), measures);
    }
}

impl Measures {
    fn of((method, status): Kind, route: &str) -> Self {
        let labels = [
            ("method", method.to_owned()),
            ("route", route.to_owned()),
            ("status", status.to_string()),
        ];
        Self {
            requests: metrics::counter!(REQUESTS, &labels),
            durations: Durations::of(DURATION, &labels),
        }
    }

    fn note(&self, took: Duration) {
        self.requests.increment(1);
        self.durations.record(took.as_secs_f64());
    }
}

/// Clients may invent methods, and each would be a series of its own.
fn name(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}

/// Opens a server span per request, as a child of the caller's `traceparent`, and counts the
/// request under its route template: raw paths would make metrics unbounded.
#[derive(Debug, Clone, Default)]
pub(crate) struct TracingLayer {
    known: Arc<Known>,
}

impl<S> Layer<S> for TracingLayer {
    type Service = Traced<S>;

    fn layer(&self, inner: S) -> Traced<S> {
        let known = Arc::clone(&self.known);
        Traced { inner, known }
    }
}

/// A service whose requests are traced.
#[derive(Debug, Clone)]
pub(crate) struct Traced<S> {
    inner: S,
    known: Arc<Known>,
}

impl<S, B, R> Service<Request<B>> for Traced<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    B: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let span = tracing::info_span!(
            "http.request",
            otel.kind = "server",
            http.request.method = %request.method(),
            url.path = request.uri().path(),
            http.response.status_code = tracing::field::Empty,
        );
        parent_from(&span, request.headers());
        let started = Instant::now();
        let method = request.method().clone();
        // Layers of an axum router run after routing, so the template is known here.
        let route = request.extensions().get::<MatchedPath>().cloned();
        let future = self.inner.call(request);
        let (recorded, known) = (span.clone(), Arc::clone(&self.known));
        Box::pin(
            async move {
                let response = future.await?;
                let status = response.status().as_u16();
                recorded.record("http.response.status_code", status);
                let route = route.as_ref().map_or("unknown", MatchedPath::as_str);
                known.note(&method, route, status, started.elapsed());
                Ok(response)
            }
            .instrument(span),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_that_clients_invent_are_one_series() {
        assert_eq!(name(&Method::PATCH), "PATCH");
        for invented in ["BREW", "get", "X1"] {
            assert_eq!(name(&invented.parse().unwrap()), "other", "{invented}");
        }
    }

    #[test]
    fn what_was_looked_up_is_kept() {
        let known = Known::default();
        for _ in 0..3 {
            known.note(&Method::GET, "/a/{id}", 200, Duration::ZERO);
            known.note(&Method::GET, "/a/{id}", 404, Duration::ZERO);
            known.note(&Method::GET, "/b", 404, Duration::ZERO);
        }
        let known = known.0.into_inner().unwrap();
        let routes: Vec<_> = known.iter().map(|(kind, it)| (*kind, it.len())).collect();
        assert_eq!(known.len(), 2, "{routes:?}");
        assert_eq!(known[&("GET", 404)].len(), 2);
    }
}
