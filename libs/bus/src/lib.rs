//! ingot-bus
