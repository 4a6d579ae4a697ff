//! ingot-private-servers
