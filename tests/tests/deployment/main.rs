//! The files with which Ingot is deployed: `docker-compose.yml`, `k8s/` and what is in `deploy/`.
//!
//! The real tools render them and check their form; what they say is then held against what the
//! services themselves declare. `cargo xtask tools` installs the tools.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step of a test is a failed test"
)]

mod compose;
mod kubernetes;
mod monitoring;
mod network;
mod pods;
mod processes;
mod tools;
