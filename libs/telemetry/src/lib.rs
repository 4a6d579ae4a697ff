//! ingot-telemetry
