//! What a process tells about itself: logs, traces over HTTP and NATS, Prometheus metrics, and the
//! frame in which every service runs (configuration, signals, exit code).

mod context;
mod exemplars;
mod level;
mod logs;
mod measure;
mod memory;
mod output;
mod process;
mod record;
mod run;

pub use context::{HeaderCarrier, current_traceparent, inject, parent_from};
pub use exemplars::Durations;
pub use level::LogLevel;
pub use logs::{LogFormat, Telemetry, TelemetryError, TelemetrySettings, exports_traces, init};
pub use measure::{begin_at_zero, metrics_answer, metrics_text, read_on_demand};
pub use memory::MemoryBudget;
pub use process::{memory_in_use, memory_limit};
pub use record::log_record;
pub use run::{run, shutdown_on_signal};
