//! The edge service.
