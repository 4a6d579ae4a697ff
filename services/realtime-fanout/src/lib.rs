//! The realtime-fanout service.
