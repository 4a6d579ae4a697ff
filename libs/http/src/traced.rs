//! A span and the RED metrics for each HTTP request of a service.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use axum::extract::MatchedPath;
use http::{Request, Response};
use ingot_telemetry::parent_from;
use tower::{Layer, Service};
use tracing::Instrument;

const DURATION: &str = "http_server_request_duration_seconds";

/// Opens a server span per request, as a child of the caller's `traceparent`, and counts the
/// request under its route template: raw paths would make metrics unbounded.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TracingLayer;

impl<S> Layer<S> for TracingLayer {
    type Service = Traced<S>;

    fn layer(&self, inner: S) -> Traced<S> {
        Traced { inner }
    }
}

/// A service whose requests are traced.
#[derive(Debug, Clone)]
pub(crate) struct Traced<S> {
    inner: S,
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
        let recorded = span.clone();
        Box::pin(
            async move {
                let response = future.await?;
                let status = response.status().as_u16();
                recorded.record("http.response.status_code", status);
                let labels = [
                    ("method", method.as_str().to_owned()),
                    (
                        "route",
                        route
                            .as_ref()
                            .map_or("unknown", MatchedPath::as_str)
                            .to_owned(),
                    ),
                    ("status", status.to_string()),
                ];
                metrics::counter!("http_server_requests_total", &labels).increment(1);
                let seconds = started.elapsed().as_secs_f64();
                metrics::histogram!(DURATION, &labels).record(seconds);
                ingot_telemetry::exemplar(DURATION, &labels, seconds);
                Ok(response)
            }
            .instrument(span),
        )
    }
}
