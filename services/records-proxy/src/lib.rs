//! The records-proxy service.
