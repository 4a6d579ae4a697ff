//! W3C trace context across HTTP and NATS: <https://www.w3.org/TR/trace-context/>.

use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// Headers that a trace context travels in.
pub trait HeaderCarrier {
    /// A header's text.
    fn get(&self, name: &str) -> Option<&str>;
    /// Sets a header; a value that does not fit is left out.
    fn set(&mut self, name: &str, value: String);
}

impl HeaderCarrier for http::HeaderMap {
    fn get(&self, name: &str) -> Option<&str> {
        http::HeaderMap::get(self, name).and_then(|value| value.to_str().ok())
    }

    fn set(&mut self, name: &str, value: String) {
        if let (Ok(name), Ok(value)) = (
            http::HeaderName::try_from(name),
            http::HeaderValue::try_from(value),
        ) {
            self.insert(name, value);
        }
    }
}

struct Adapter<C>(C);

impl<C: HeaderCarrier> Extractor for Adapter<&C> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)
    }

    fn keys(&self) -> Vec<&str> {
        vec!["traceparent", "tracestate"]
    }
}

impl<C: HeaderCarrier> Injector for Adapter<&mut C> {
    fn set(&mut self, key: &str, value: String) {
        if !value.is_empty() {
            self.0.set(key, value);
        }
    }
}

/// Writes the current span's context into `headers`.
pub fn inject(headers: &mut impl HeaderCarrier) {
    let context = tracing::Span::current().context();
    TraceContextPropagator::new().inject_context(&context, &mut Adapter(headers));
}

/// Makes `span` a child of the context in `headers`, if there is one.
pub fn parent_from(span: &tracing::Span, headers: &impl HeaderCarrier) {
    if headers.get("traceparent").is_some() {
        let context = TraceContextPropagator::new().extract(&Adapter(headers));
        // Fails only where no OpenTelemetry layer is installed: then there is nothing to link.
        let _unlinked = span.set_parent(context);
    }
}

/// The current span's `traceparent`, for carriers that are not headers.
pub fn current_traceparent() -> Option<String> {
    let mut headers = http::HeaderMap::new();
    inject(&mut headers);
    HeaderCarrier::get(&headers, "traceparent").map(str::to_owned)
}
