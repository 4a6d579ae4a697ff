//! ingot-http
