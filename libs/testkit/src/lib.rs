//! Real PostgreSQL, NATS and official clients for tests.
//!
//! One throw-away pair of servers serves a whole test run: `cargo xtask test` starts it and names
//! it in `INGOT_TEST_SERVERS`; without that, each test process starts its own. Every test gets a
//! [`TestProject`], a fresh database copied from a template that was migrated once, and may run
//! services on it ([`TestService`]) and drive JavaScript clients against them ([`Node`]).

mod node;
mod passage;
mod project;
mod servers;
mod service;
mod template;

pub use node::{Node, NodeProcess};
pub use passage::Passage;
pub use project::TestProject;
pub use servers::{TestServers, VARIABLE as SERVERS_VARIABLE, test_servers};
pub use service::TestService;
