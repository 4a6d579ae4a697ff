//! ingot-identity
