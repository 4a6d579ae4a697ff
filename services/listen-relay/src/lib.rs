//! The listen-relay service.
