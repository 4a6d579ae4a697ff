//! ingot-schema
