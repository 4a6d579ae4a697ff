//! Log output and the OTLP exporter.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ingot_config::SettingValue;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::WithExportConfig;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_subscriber::Layer;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::level::{Level, LogLevel};
use crate::output::{self, Buffering, Lines};
use crate::record;

ingot_config::settings! {
    /// Logs and traces.
    pub struct TelemetrySettings {
        /// Least level that is logged: error, warn, info, debug, trace, or a filter such as
        /// `info,ingot_edge=debug`.
        log_level: LogLevel = "LOG_LEVEL", default "info";
        /// Form of log lines: json or text.
        log_format: LogFormat = "INGOT_LOG_FORMAT", default "json";
        /// OTLP/HTTP collector, for example http://collector:4318; unset exports nothing.
        otlp_endpoint: Option<url::Url> = "OTEL_EXPORTER_OTLP_ENDPOINT";
    }
}

/// Form of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object per line, for collectors.
    Json,
    /// For people.
    Text,
}

impl SettingValue for LogFormat {
    const KIND: &'static str = "json or text";

    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "json" => Ok(Self::Json),
            "text" => Ok(Self::Text),
            _ => Err(format!(
                "`{text}` is no form of log lines: use {}",
                Self::KIND
            )),
        }
    }
}

static EXPORTS_TRACES: AtomicBool = AtomicBool::new(false);

/// Whether spans leave this process. Who has a cheaper way to pass a trace on may use it if not.
pub fn exports_traces() -> bool {
    EXPORTS_TRACES.load(Ordering::Relaxed)
}

/// Keeps the log's buffer and the exporters alive; dropping or [`Telemetry::shutdown`] flushes
/// them. Lines after that are written where they arise.
#[derive(Debug)]
pub struct Telemetry {
    level: Level,
    provider: Option<SdkTracerProvider>,
    buffering: Buffering,
}

/// Telemetry could not start.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// `LOG_LEVEL` is no filter.
    #[error("LOG_LEVEL: {0}")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// The exporter does not accept the endpoint.
    #[error("OTEL_EXPORTER_OTLP_ENDPOINT: {0}")]
    Exporter(#[from] opentelemetry_otlp::ExporterBuildError),
    /// Another subscriber is there.
    #[error("telemetry was started twice: {0}")]
    Twice(#[from] tracing_subscriber::util::TryInitError),
}

/// Starts logs, traces and metrics for this process under a service name.
pub fn init(settings: &TelemetrySettings, service: &str) -> Result<Telemetry, TelemetryError> {
    crate::measure::install();
    let version = env!("CARGO_PKG_VERSION");
    metrics::gauge!("ingot_build_info", "service" => service.to_owned(), "version" => version)
        .set(1);
    crate::begin_at_zero(&["log_lines_dropped_total"]);
    let (filter, level) = Level::new(&settings.log_level)?;
    let is_text = settings.log_format == LogFormat::Text;
    let layer = if is_text {
        tracing_subscriber::fmt::layer()
            .with_target(false)
            .with_writer(Lines)
            .boxed()
    } else {
        tracing_subscriber::fmt::layer()
            .json()
            .flatten_event(true)
            .with_writer(Lines)
            .boxed()
    };
    let provider = settings
        .otlp_endpoint
        .as_ref()
        .map(|endpoint| provider(endpoint, service))
        .transpose()?;
    let traces = provider.as_ref().map(|provider| {
        tracing_opentelemetry::layer().with_tracer(provider.tracer(service.to_owned()))
    });
    tracing_subscriber::registry()
        .with(filter)
        .with(layer)
        .with(traces)
        .try_init()?;
    EXPORTS_TRACES.store(provider.is_some(), Ordering::Relaxed);
    if !is_text {
        record::lines_are_json();
    }
    Ok(Telemetry {
        level,
        provider,
        buffering: output::start(),
    })
}

fn provider(
    endpoint: &url::Url,
    service: &str,
) -> Result<SdkTracerProvider, opentelemetry_otlp::ExporterBuildError> {
    let traces = format!("{}/v1/traces", endpoint.as_str().trim_end_matches('/'));
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_http()
        .with_endpoint(traces)
        .with_timeout(Duration::from_secs(5))
        .build()?;
    let resource = Resource::builder()
        .with_service_name(service.to_owned())
        .build();
    Ok(SdkTracerProvider::builder()
        .with_resource(resource)
        .with_batch_exporter(exporter)
        .build())
}

impl Telemetry {
    /// From now on SIGUSR1 and SIGUSR2 change the log's level. Within a runtime.
    ///
    /// # Errors
    /// The signals cannot be heard.
    pub fn follow_signals(&self) -> std::io::Result<()> {
        self.level.clone().follow_signals()
    }

    /// Sends what is still buffered; takes a few seconds at the most.
    pub fn shutdown(self) {
        if let Some(Err(error)) = self.provider.map(|provider| provider.shutdown()) {
            tracing::warn!(%error, "the last spans could not be exported");
        }
        drop(self.buffering);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ingot_config::{Environment, Settings};

    #[test]
    fn an_unknown_form_is_named_and_not_replaced() {
        let load = |form| {
            let environment = Environment::from_pairs([("INGOT_LOG_FORMAT", form)]);
            TelemetrySettings::load(&environment)
        };
        assert_eq!(load("text").unwrap().log_format, LogFormat::Text);
        assert_eq!(load("").unwrap().log_format, LogFormat::Json);
        let problems = load("nonsense").unwrap_err();
        let problem = problems.iter().next().unwrap();
        assert_eq!(problem.variable, "INGOT_LOG_FORMAT");
        assert!(problems.to_string().contains("json or text"), "{problems}");
    }
}
