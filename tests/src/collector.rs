//! An OTLP/HTTP collector in the test's process (<https://opentelemetry.io/docs/specs/otlp/#otlphttp>).

use std::fmt::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::bail;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::resource::v1::Resource;
use otlp_prost::Message;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

/// Bytes of one export.
const MAX_EXPORT: usize = 16 << 20;
/// Pause between two looks at what came.
const PAUSE: Duration = Duration::from_millis(50);

/// A span as it was exported; ids in hexadecimal.
#[derive(Debug, Clone)]
struct Span {
    /// `service.name` of the process.
    service: String,
    name: String,
    trace: String,
    id: String,
    /// Empty for none.
    parent: String,
}

/// Keeps every span that it is sent.
#[derive(Debug)]
pub struct Collector {
    endpoint: String,
    spans: Arc<Mutex<Vec<Span>>>,
    server: JoinHandle<std::io::Result<()>>,
}

impl Collector {
    /// Listens on a free port of this machine.
    ///
    /// # Errors
    /// There is none.
    pub async fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let endpoint = format!("http://{}", listener.local_addr()?);
        let spans = Arc::<Mutex<Vec<Span>>>::default();
        let routes = Router::new()
            .route("/v1/traces", post(receive))
            .layer(DefaultBodyLimit::max(MAX_EXPORT))
            .with_state(Arc::clone(&spans));
        let server = tokio::spawn(axum::serve(listener, routes).into_future());
        Ok(Self {
            endpoint,
            spans,
            server,
        })
    }

    /// For `OTEL_EXPORTER_OTLP_ENDPOINT`.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Waits until the line from a trace's first span down to the one of this name is as expected,
    /// each as `service span`: processes export at times of their own.
    ///
    /// # Errors
    /// It is not so in time; says what came instead.
    pub async fn expect_line(
        &self,
        trace: &str,
        name: &str,
        expected: &[&str],
        patience: Duration,
    ) -> anyhow::Result<()> {
        let deadline = Instant::now() + patience;
        loop {
            let spans = self.trace(trace);
            if line(&spans, name) == expected {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!("the line to {name} is not {expected:?} in {spans:#?}");
            }
            sleep(PAUSE).await;
        }
    }

    fn trace(&self, id: &str) -> Vec<Span> {
        let spans = self.spans.lock().unwrap_or_else(PoisonError::into_inner);
        spans
            .iter()
            .filter(|span| span.trace == id)
            .cloned()
            .collect()
    }
}

/// From the first known ancestor down to the span of this name.
fn line(spans: &[Span], name: &str) -> Vec<String> {
    let mut line = Vec::new();
    let mut current = spans.iter().find(|span| span.name == name);
    while let Some(span) = current {
        line.insert(0, format!("{} {}", span.service, span.name));
        current = spans.iter().find(|parent| parent.id == span.parent);
    }
    line
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn receive(State(spans): State<Arc<Mutex<Vec<Span>>>>, body: Bytes) -> StatusCode {
    let Ok(export) = ExportTraceServiceRequest::decode(body) else {
        return StatusCode::BAD_REQUEST;
    };
    let mut kept = spans.lock().unwrap_or_else(PoisonError::into_inner);
    for group in export.resource_spans {
        let service = service_name(group.resource.as_ref());
        for span in group.scope_spans.into_iter().flat_map(|scope| scope.spans) {
            kept.push(Span {
                service: service.clone(),
                name: span.name,
                trace: hex(&span.trace_id),
                id: hex(&span.span_id),
                parent: hex(&span.parent_span_id),
            });
        }
    }
    StatusCode::OK
}

fn service_name(resource: Option<&Resource>) -> String {
    let name = resource
        .into_iter()
        .flat_map(|resource| &resource.attributes)
        .find(|attribute| attribute.key == "service.name")
        .and_then(|attribute| attribute.value.as_ref()?.value.as_ref());
    match name {
        Some(Value::StringValue(name)) => name.clone(),
        _ => String::new(),
    }
}

fn hex(id: &[u8]) -> String {
    id.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ok = write!(text, "{byte:02x}");
        text
    })
}
