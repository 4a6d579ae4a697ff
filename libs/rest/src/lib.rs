//! ingot-rest
