//! The migration service.
