//! ingot-testkit
